"""Makes Tests/HubTests/Goldens/{tiny,bomb}-1.0-py3-none-any.whl: a wheel with two deflated files of weights and some
code, and one that unfolds 8 MB of zeros from 8 kB."""
import zipfile
from pathlib import Path

out = Path(__file__).parent.parent / "HubTests/Goldens"
out.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(out / "tiny-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
    for name, data in [("tiny/__init__.py", b"raise SystemExit\n"), ("tiny/model/weights.gguf", b"0123456789" * 1000),
                       ("tiny/model/config.json", b"{}"), ("tiny-1.0.dist-info/METADATA", b"Name: tiny\n")]:
        wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
with zipfile.ZipFile(out / "bomb-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr(zipfile.ZipInfo("bomb/weights.gguf", (2020, 1, 1, 0, 0, 0)), bytes(8 << 20), zipfile.ZIP_DEFLATED, 9)
