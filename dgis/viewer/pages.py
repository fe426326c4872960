"""The page that OHIF runs in and its configuration, made here: never those of the package.

The package's own configuration names public servers, and its page has scripts in line, which no policy here
allows.
"""

import json
from collections.abc import Mapping
from html import escape
from typing import Final

from dgis.viewer.installed import Installed
from dgis.viewer.installing import PATH

CONFIGURATION_PATH: Final = f"{PATH}app-config.js"
_HOME: Final = "/"

_POLICY: Final = {
    "default-src": "'self'",
    "script-src": "'self' 'wasm-unsafe-eval'",  # its codecs are WebAssembly
    "worker-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # it positions by style attributes
    "img-src": "'self' blob: data:",
    "font-src": "'self' data:",
    "connect-src": "'self' blob: data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def _said(policy: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())


POLICY: Final = _said(_POLICY)
# The decoders for JPEG and JPEG-LS make functions out of text when they start. They run in workers, which
# see no page and no cookie; a worker has the policy that its own script came with.
WORKER_POLICY: Final = _said({**_POLICY, "script-src": "'self' 'wasm-unsafe-eval' 'unsafe-eval'"})

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OHIF Viewer</title>
<link rel="icon" href="{files}assets/favicon.ico">
<link rel="stylesheet" href="{files}{style}">
<script src="{configuration}"></script>
<script defer src="{files}{script}"></script>
</head>
<body>
<noscript>This viewer needs JavaScript.</noscript>
<div id="react-portal"></div>
<div id="root"></div>
</body>
</html>
"""

# What is looked at comes behind the #, which browsers send to nobody; OHIF looks for it in the query.
# Without a study there is nothing to show: OHIF's own list is off, for it writes what is searched for into
# the address.
_CONFIGURATION = """// Made by the gateway for the viewer that is installed.
(() => {
  const asked = new URLSearchParams(location.hash.slice(1)).get("StudyInstanceUIDs");
  if (asked) {
    const query = new URLSearchParams({ StudyInstanceUIDs: asked });
    history.replaceState(null, "", `${location.pathname}?${query}`);
  } else if (!new URLSearchParams(location.search).has("StudyInstanceUIDs")) {
    location.replace(%(home)s);
  }
})();
window.PUBLIC_URL = %(files)s;
window.browserImportFunction = (name) => import(name);
window.config = {
  ...%(settings)s,
  // The session has ended: log in anew.
  httpErrorHandler: (error) => {
    if (error?.status === 401) location.assign(%(home)s);
  },
};
{
  const root = `${location.origin}/dicom-web`;
  for (const { configuration } of window.config.dataSources) {
    Object.assign(configuration, { qidoRoot: root, wadoRoot: root, wadoUriRoot: `${location.origin}/wado` });
  }
}
"""

# Frames as they lie, where OHIF has a decoder for them; of itself it asks for octets, and those are native.
_DECODED: Final = ("image/jphc", "image/jpeg", "image/jls", "image/jp2", "image/dicom-rle")
_ACCEPT: Final = [
    f'multipart/related; type="{each}"; transfer-syntax=*' for each in (*_DECODED, "application/octet-stream")
]
_SOURCE: Final = {
    "friendlyName": "DGIS",
    "name": "dgis",
    "qidoSupportsIncludeField": True,
    "imageRendering": "wadors",
    "thumbnailRendering": "thumbnail",
    "thumbnailRequestStrategy": "fetch",
    "enableStudyLazyLoad": True,
    "supportsFuzzyMatching": True,
    "supportsWildcard": True,
    "supportsReject": False,
    "dicomUploadEnabled": False,
    "singlepart": "bulkdata,video,pdf",
    "bulkDataURI": {"enabled": True, "relativeResolution": "instances"},
    "acceptHeader": _ACCEPT,
}
_SETTINGS: Final = {
    "name": "dgis",
    "routerBasename": PATH.rstrip("/"),
    "extensions": [],
    "modes": [],
    "customizationService": {"ohif.tours": {"$set": []}},  # they cover the first study that is opened
    "showStudyList": False,
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "maxNumRequests": {"interaction": 20, "thumbnail": 5, "prefetch": 10},
    "showErrorDetails": "dev",  # an error's own words may say what is looked at
    "defaultDataSourceName": "dgis",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dgis",
            "configuration": _SOURCE,
        }
    ],
}


def page(found: Installed) -> str:
    """Return the page."""
    names = {"files": files_of(found), "script": found.script, "style": found.style}
    said = {name: escape(value) for name, value in names.items()}
    return _PAGE.format(configuration=CONFIGURATION_PATH, **said)


def configuration(found: Installed) -> str:
    """Return the script that configures the viewer: this gateway is all that it speaks to."""
    values = {"home": _HOME, "files": files_of(found), "settings": _SETTINGS}
    return _CONFIGURATION % {name: json.dumps(value) for name, value in values.items()}


def files_of(found: Installed) -> str:
    """Return what addresses of its files begin with; another one at each installation."""
    return f"{PATH}{found.folder}/"
