/* The whole contract. */
#ifndef MARTLET_MARTLET_H
#define MARTLET_MARTLET_H

#include "base.h"
#include "graph.h"
#include "host.h"
#include "plugin.h"

#include "kinds/alignment.h"
#include "kinds/benchmark.h"
#include "kinds/checkpoint.h"
#include "kinds/collective.h"
#include "kinds/dataset.h"
#include "kinds/device.h"
#include "kinds/engine.h"
#include "kinds/hub.h"
#include "kinds/logger.h"
#include "kinds/modality.h"
#include "kinds/model.h"
#include "kinds/op.h"
#include "kinds/optimizer.h"
#include "kinds/quantizer.h"
#include "kinds/row.h"
#include "kinds/tokenizer.h"
#include "kinds/tuner.h"

#endif
