"""A small package built as OHIF is, and what may be wrong with one."""

import base64
import gzip
import hashlib
import io
import tarfile

from dgis.viewer.package import Package

SCRIPT, WORKER, CHUNK = "app.bundle.0a.js", "interpolation.bundle.0b.js", "12.bundle.0c.js"
PUBLIC_PATH = '__webpack_require__.p = "/";'
PAGE = (
    f'<html><head><script>window.PUBLIC_URL="/"</script><script defer src="/{SCRIPT}"></script>'
    '<link href="/app.bundle.css" rel="stylesheet"></head></html>'
)
SERVED = {
    f"dist/{SCRIPT}": f"before(); {PUBLIC_PATH} after();",
    f"dist/{WORKER}": f"{PUBLIC_PATH} work();",
    f"dist/{CHUNK}": 'const path = "/dicom-web";',
    "dist/app.bundle.css": "a{src:url(/0d.woff2)} b{src:url('/0d.woff2')} c{src:url(//x)} d{src:url(data:x)}",
    "dist/0d.woff2": "font",
    "dist/0e.wasm": "\0asm url(/left)",
    "dist/assets/favicon.ico": "icon",
    "dist/assets/images/CT-Bone.png": "picture",
    "LICENSE": "MIT",
}
LEFT = {
    "package.json": "{}",
    "dist/index.html": PAGE,
    "dist/app-config.js": "window.config = {qidoRoot: 'https://elsewhere'}",
    "dist/google.js": "window.config = {}",
    "dist/sw.js": "importScripts('https://elsewhere/workbox.js')",
    "dist/init-service-worker.js": "importScripts('https://elsewhere/workbox.js')",
    "dist/oidc-client.min.js": "",
    "dist/silent-refresh.html": "",
    "dist/ort/ort.min.js": "",
    "dist/ort/ort-wasm.wasm": "\0asm",
    "dist/app.bundle.0a.js.map": "{}",
    "dist/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js": "",
    "dist/assets/apple-touch-startup-image-640x920.png": "",
    "dist/customizations/index.html": "",
}


def archive(files, further=()):
    """A tar, gzipped; `further` are members given as `TarInfo` with their bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            added = tarfile.TarInfo(f"package/{name}")
            added.size = len(content.encode())
            tar.addfile(added, io.BytesIO(content.encode()))
        for info, content in further:
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


def package_of(data, version="1.2.3"):
    """The package whose file that is."""
    return Package("@test/app", version, base64.b64encode(hashlib.sha512(data).digest()).decode())


def built(folder, files=None, version="1.2.3"):
    """Write a package's file; return where, and the package."""
    data = archive({**SERVED, **LEFT} if files is None else files)
    path = folder / f"{version}.tgz"
    path.write_bytes(data)
    return path, package_of(data, version)
