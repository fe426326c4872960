"""Put what lies in a folder on an S3 node, as the gateway does, all objects at once; says the seconds.

python -m tests.bench.put_records ENDPOINT FOLDER PREFIX
"""

import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage_nodes.names import ObjectName
from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from storage_nodes.wrappers.usual import guarded

BUCKET, ACCESS_KEY, SECRET_KEY = "grid", "bench", "bench-secret"
_AT_ONCE = 4  # objects: each large one goes in parallel parts by itself


def main(endpoint: str, folder: Path, prefix: str) -> None:
    """Put everything and say how long it took, connections included."""
    location = S3Location(
        endpoint=endpoint, bucket=BUCKET, access_key=ACCESS_KEY, secret_key=SECRET_KEY, prefix=prefix
    )
    node = guarded(S3Node("far", "west", location))
    objects = [
        (ObjectName(str(path.relative_to(folder)).lower()), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    digests = [hashlib.sha256(body).digest() for _, body in objects]
    began = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [
            pool.submit(node.put, name, body, digest)
            for (name, body), digest in zip(objects, digests, strict=True)
        ]
        for job in jobs:
            job.result()
    sys.stdout.write(f"{time.perf_counter() - began:.4f}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
