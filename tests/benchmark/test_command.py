"""`meshconv benchmark` on a folder of scans."""

import json

import numpy as np

from meshconv import ProceduralFaces, save
from meshconv.cli import main


def test_benchmark_of_a_folder_prints_a_table_and_goes_on(tmp_path, capsys):
    faces = ProceduralFaces(16, "nose_tip", 8.0, n_vertices=300, seed=0)
    (tmp_path / "study").mkdir()
    lines = ["file,label,subject"]
    for k in range(len(faces)):
        scan = faces[k]
        save(tmp_path / "study" / f"{scan.name}.ply", scan.surface)
        lines.append(f"{scan.name}.ply,{'ab'[scan.label]},{scan.subject}")
    (tmp_path / "study" / "labels.csv").write_text("\n".join(lines) + "\n")
    name, out = f"folder:{tmp_path / 'study'}", tmp_path / "out.json"
    options = [
        "--models",
        "DECNN 17",
        "t-map",
        "DiffusionNet, places",
        "measures + logistic",
        "--seeds",
        "1",
        "--folds",
        "2",
        "--epochs",
        "3",
        "--cache",
        str(tmp_path / "cache"),
        "--page",
        str(tmp_path / "page.html"),
    ]
    assert main(["benchmark", name, "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert (
        printed.splitlines()[0].split()[:2] == ["data", "set"]
        and "DECNN 17" in printed
        and "t-map" in printed
    )
    rows = json.loads(out.read_text())["rows"]
    assert [row["model"] for row in rows] == [
        "DECNN 17",
        "t-map",
        "DiffusionNet, places",
        options[4],
    ]
    assert rows[0]["n"] == rows[2]["n"] == rows[3]["n"] == len(faces)  # each of them once
    assert np.isfinite(rows[0]["auc"])
    assert main(["benchmark", name, "--out", str(out), *options]) == 0  # nothing is left to do
    assert json.loads(out.read_text())["rows"] == rows
    assert 0 < rows[0]["deletion"]["random"] <= 1.1 and 0.5 <= rows[0]["train_accuracy"] <= 1
    page = (tmp_path / "page.html").read_text()
    deletion = page[page.index("deletion</th>") :]
    assert "gradcam</th>" in deletion and "random</th>" in deletion  # a table of its own
    assert "DECNN 17" in page and "<script" not in page and "http" not in page.split("</style>")[1]
    assert main(["benchmark", "cats", "--out", str(tmp_path / "x.json")]) == 1
    assert "no data set 'cats'" in capsys.readouterr().err
    few = ["benchmark", name, "--folds", "1", "--out", str(tmp_path / "x.json")]
    assert main(few) == 1 and "--folds must be at least 2, found 1" in capsys.readouterr().err
