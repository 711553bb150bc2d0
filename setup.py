"""What a wheel holds: all in one package, with `analysis/` and `assets/` inside (decision 0025)."""

from setuptools import find_packages, setup

FOLDERS = {"mowe.analysis": "analysis", "mowe.assets": "assets"}

setup(
    packages=[
        *find_packages(include=["mowe", "mowe.*"]),
        *FOLDERS,
        *(f"mowe.analysis.{name}" for name in find_packages("analysis")),
    ],
    package_dir=FOLDERS,
    package_data={"mowe": ["**/*.css", "**/*.json", "**/*.yaml"], "mowe.assets": ["**/*"]},
)
