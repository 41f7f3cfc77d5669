import Training

extension TrainCommand {
    static let flags = modelAndData + method + steps + besides
    /// What is done beside training.
    static let besides = evaluation + checkpoints + reports

    private static let modelAndData =
        Session.modelFlags + [
            Flag("dataset", .list, "Files, directories or names, each with #n to sample n rows"),
            Flag("columns", .text, "JSON with new names of columns, such as {\"question\": \"query\"}"),
            Flag("custom_dataset_info", .list, "YAML or JSON files that give data sets names"),
            Flag("val_dataset", .list, "Data sets to evaluate on"),
            Flag(
                "interleave_prob", .list,
                "Weights of the data sets in a mixture; without them one stands behind the other"),
            Flag(
                "stopping_strategy", .text, "A mixture ends with the first_exhausted data set, or with all_exhausted",
                default: "first_exhausted"),
            Flag("split_dataset_ratio", .number, "Share of the rows kept for evaluation", default: "0", in: 0...1),
            Flag("dataset_shuffle", .boolean, "Train on the rows in an order of the seed", default: "true"),
            Flag("data_seed", .integer, "Seed of the rows' order; --seed unless given"),
            Flag("streaming", .boolean, "Read rows as they are needed, in constant memory", default: "false"),
            Flag(
                "shuffle_buffer_size", .integer, "Rows that are shuffled among each other when streaming",
                default: "1000", in: .from(1)),
            Flag(
                "dataset_num_proc", .integer, "Threads that encode rows ahead", default: "2",
                in: .from(0), aliases: ["dataloader_num_workers"]),
            Flag(
                "max_reject_ratio", .number, "Share of rejected rows above which the run fails", default: "1", in: 0...1
            ),
            Flag("encoding_cache", .text, "Directory in which encoded rows are kept from run to run"),
            Flag("row_filter", .list, "Filters (plugin list --kind filter) that a row must pass"),
            Flag("packing", .boolean, "Fill batches up to max_length with whole rows", default: "false"),
            Flag("packing_length", .integer, "Tokens of a packed batch; max_length unless given", in: .from(1)),
            Flag("packing_strategy", .text, "binpack or sequential", default: "binpack"),
            Flag("max_length", .integer, "Longest row in tokens", default: "2048", in: .from(1)),
            Flag("truncation_strategy", .text, "delete, left, right or split", default: "delete"),
            Flag("loss_scale", .text, "What is trained: default (every answer), last_round, all", default: "default"),
            Flag("model_name", .text, "What {{NAME}} stands for in data sets about the model itself"),
            Flag("model_author", .text, "What {{AUTHOR}} stands for in data sets about the model itself"),
            Flag("system", .text, "System message for rows without one"),
        ]

    private static let method = [
        Flag(
            "rlhf_type", .text, "dpo trains on preference pairs, kto on answers with a label; without it: supervised"),
        Flag("rlhf_args", .list, "Settings of a loss plugin, as name=value"),
        Flag("ref_model", .text, "The objective's reference; the model itself before training, unless given"),
        Flag("beta", .number, "DPO's and KTO's beta", default: "0.1", in: .from(0)),
        Flag("loss_type", .text, "The objective's variant; DPO's sigmoid, KTO's kto unless given"),
        Flag("label_smoothing", .number, "DPO's label smoothing", default: "0"),
        Flag(
            "f_divergence_type", .text, "DPO's divergence: reverse_kl, forward_kl, js_divergence, alpha_divergence",
            default: "reverse_kl"),
        Flag("desirable_weight", .number, "KTO's weight of desirable answers", default: "1", in: .from(0)),
        Flag("undesirable_weight", .number, "KTO's weight of undesirable answers", default: "1", in: .from(0)),
        Flag("discopop_tau", .number, "DiscoPOP's temperature", default: "0.05"),
        Flag(
            "tuner_type", .text, "full, or a tuner: lora or an installed plugin's", default: "lora",
            aliases: ["train_type", "sft_type"]),
        Flag("tuner_args", .list, "Settings of the tuner, as name=value"),
        Flag("lora_rank", .integer, "Rank of the low-rank matrices", default: "8"),
        Flag("lora_alpha", .number, "Their scale is alpha / rank", default: "32"),
        Flag("lora_dropout", .number, "Dropout before them", default: "0.05", in: 0...1),
        Flag("use_rslora", .boolean, "Scale by alpha / sqrt(rank)", default: "false"),
        Flag("use_dora", .boolean, "Train the length of each output apart", default: "false"),
        Flag(
            "init_weights", .text, "First values of LoRA: true, false, gaussian, pissa", default: "true",
            aliases: ["init_lora_weights"]),
        Flag(
            "neftune_noise_alpha", .number, "Noise on embeddings in training; 5 to 15 are usual, 0 = off", default: "0",
            in: .from(0)),
        Flag("lorap_lr_ratio", .number, "LoRA+: rate of B over that of A", in: .from(0)),
        Flag("target_modules", .list, "Last names of the linear sites, or all-linear", default: "all-linear"),
        Flag("target_regex", .text, "Regular expression that the whole name of a linear site matches"),
        Flag("modules_to_save", .list, "Last names of modules that are trained whole beside the adapter"),
        Flag("freeze_parameters", .list, "Full training: beginnings of names that stay as they are"),
        Flag("freeze_parameters_regex", .text, "Full training: names that stay as they are"),
        Flag(
            "freeze_parameters_ratio", .number, "Full training: share of the model, from its first layers, that stays",
            default: "0", in: 0...1),
        Flag("trainable_parameters", .list, "Full training: beginnings of names that are trained all the same"),
        Flag("trainable_parameters_regex", .text, "Full training: names that are trained all the same"),
        Flag("adapters", .text, "Adapter directory to go on from"),
    ]

    private static let steps = [
        Flag("num_train_epochs", .integer, "Passes over the data", default: "3", in: .from(1)),
        Flag("max_steps", .integer, "Stop after this many optimizer steps; -1 = off", default: "-1", in: .from(-1)),
        Flag(
            "per_device_train_batch_size", .integer, "Rows a batch", default: "1", in: .from(1), aliases: ["batch_size"]
        ),
        Flag(
            "gradient_accumulation_steps", .integer, "Batches an optimizer step; as many as make 16 rows unless given",
            in: .from(1)),
        Flag("optim", .text, "Optimizer, by transformers' name or an installed plugin's", default: "adamw_torch"),
        Flag("optim_args", .list, "Settings of the optimizer, as name=value"),
        Flag("adam_beta1", .number, "Decay of the gradient's mean", default: "0.9", in: 0...1),
        Flag("adam_beta2", .number, "Decay of its square's mean", default: "0.95", in: 0...1),
        Flag("adam_epsilon", .number, "Added to the root", default: "1e-8", in: .from(0)),
        Flag("learning_rate", .number, "Peak learning rate; 1e-4 with LoRA, 1e-5 without", in: .from(0)),
        Flag("lr_scheduler_type", .text, "Schedule, by transformers' name", default: "cosine"),
        Flag("lr_scheduler_kwargs", .text, "JSON with the schedule's options", default: "{}"),
        Flag("warmup_ratio", .number, "Share of the steps that warm up", default: "0", in: 0...1),
        Flag("warmup_steps", .integer, "Steps that warm up; 0 = by the ratio", default: "0", in: .from(0)),
        Flag("weight_decay", .number, "Decoupled weight decay", default: "0.1", in: .from(0)),
        Flag("max_grad_norm", .number, "Longest gradient", default: "1", in: .from(0)),
        Flag(
            "bf16", .boolean, "Round the factors of products to 16 bits; not with --torch_dtype float32",
            default: "true"),
        Flag("gradient_checkpointing", .boolean, "Compute blocks again in the backward pass", default: "true"),
        Flag(
            "nonfinite_policy", .text, "After a loss or gradient that is not finite: stop, or skip the step",
            default: "stop"),
        Flag("seed", .integer, "Seed of initial values, order and dropout", default: "42"),
    ]

    private static let evaluation = [
        Flag("eval_strategy", .text, "When to evaluate: no, steps or epoch; as saving unless given"),
        Flag("eval_steps", .integer, "Steps between evaluations; as saving unless given", in: .from(1)),
        Flag("eval_on_start", .boolean, "Evaluate before the first step", default: "true"),
        Flag("metric_for_best_model", .text, "What the best checkpoint is chosen by", default: "eval_loss"),
        Flag("greater_is_better", .boolean, "Whether more of it is better; not for losses unless given"),
        Flag("early_stop_interval", .integer, "Stop after so many evaluations without a better one", in: .from(1)),
        Flag("load_best_model_at_end", .boolean, "End with the best checkpoint's weights", default: "false"),
    ]

    private static let checkpoints = [
        Flag("output_dir", .text, "Where checkpoints and logs go", default: "output"),
        Flag("save_strategy", .text, "When to save: no, steps or epoch", default: "steps"),
        Flag("save_steps", .integer, "Steps between checkpoints", default: "500", in: .from(1)),
        Flag("save_total_limit", .integer, "Checkpoints kept; the newest and the best always are", in: .from(1)),
        Flag("save_only_model", .boolean, "Leave out what a run needs to go on", default: "false"),
        Flag("resume_from_checkpoint", .text, "Checkpoint to go on from; last = the newest whole one in output_dir"),
    ]

    private static let reports = [
        Flag(
            "preview", .boolean, "Show the first rows as the model reads them, trained tokens marked, and do nothing",
            default: "false"),
        Flag("logging_steps", .integer, "Report every so many steps", default: "5", in: .from(1)),
        Flag("report_to", .list, "Loggers besides logging.jsonl; all, or none", default: "plot,tensorboard"),
        Flag("run_name", .text, "The run's name in the index of runs; the output directory's unless given"),
    ]
}
