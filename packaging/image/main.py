"""main.py ROOT WHEEL: builds the images of the Dockerfile and of docs/deployment.md and checks them. See packaging/test-image."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checks
import recipes
from builder import Builder, Image
from container import Failure
from dockerfile import Error, stages

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
COMMIT = "0123abcde"


def wheel_image(work, wheel):
    """In place of the stage `wheel`: a root with its result alone."""
    root = work / "wheel"
    (root / "dist").mkdir(parents=True)
    shutil.copy(wheel, root / "dist")
    return Image(root)


def go_image(work, python):
    """In place of the image of Go: this machine's Go, and what that image has of Debian."""
    root = work / "go"
    subprocess.run(["cp", "-a", python, root], check=True)
    goroot = subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()
    shutil.copytree(goroot, root / "usr/local/go", symlinks=True)
    image = Image(root)
    image.config.env["PATH"] = "/go/bin:/usr/local/go/bin:" + image.config.env["PATH"]
    image.config.env.update(GOPATH="/go", GOTOOLCHAIN="local")
    packages = "FROM bare\nRUN apt-get update && apt-get install -y --no-install-recommends gcc g++ libc6-dev make git"
    return Builder(work / "roots", {"bare": image}, {}).build(packages, work)


def build(work, root, wheel):
    """Returns the images by what the checks call them, and the recipes."""
    text = (recipes.ROOT / "Dockerfile").read_text()
    (work / "roots").mkdir()
    args = {"TARGETARCH": ARCHITECTURES[os.uname().machine], "COMMIT": COMMIT}
    python = Image(Path(root))
    bases = {stage.base: python for stage in stages(text, args) if stage.base.startswith("python:")}
    if wheel == "--build":
        go = go_image(work, root)
        bases.update((stage.base, go) for stage in stages(text, args) if stage.base.startswith("golang:"))
    else:
        bases["wheel"] = wheel_image(work, wheel)
    own = Builder(work / "roots", bases, args)
    images = {"example": own.build(text, recipes.ROOT)}
    page = recipes.Recipes()
    bases = {"envoxyd": own.find("base"), "envoxyd:envoxy": own.find("envoxy"), **{page.python: python}}
    users = Builder(work / "roots", bases, {})
    wsgi = recipes.wsgi_context(work / "wsgi", page.ini)
    images["wsgi"] = users.build(page.wsgi, wsgi)
    images["README"] = users.build(page.readme, wsgi)
    images["own"] = users.build(page.own, wsgi)
    images["envoxy"] = users.build(page.envoxy, recipes.envoxy_context(work / "envoxy"))
    return images, page


def main(root, wheel):
    with tempfile.TemporaryDirectory(prefix="test-image-") as directory:
        work = Path(directory)
        images, page = build(work, root, wheel)
        print(f"images: {', '.join(sorted(images))} are built", flush=True)
        run = {name: checks.Checks(name, image, work) for name, image in images.items()}
        checks.check_wsgi(run["wsgi"], page.health_url)
        checks.check_forgotten(run["wsgi"])
        checks.check_plain(run["README"], "10001:10001 /home/envoxyd")
        checks.check_plain(run["own"], "10001:0 /")
        if wheel == "--build":
            checks.check_version(run["wsgi"], f".{COMMIT}")
        checks.check_service(run["envoxy"], "/v1/cards")
        checks.check_service(run["example"], "/v1/cards")
    print(f"test-image: {sum(one.passed for one in run.values())} checks passed")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Error, Failure, subprocess.CalledProcessError) as error:
        sys.exit(f"test-image: {error}")
