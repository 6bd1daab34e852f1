import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from meshconv.errors import ArgumentError, MeshConvError
from meshconv.stats.folds import hold_out
from meshconv.stats.metrics import evaluate


def _case(n=200, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    p = rng.random((n, classes)) + 0.7 * np.eye(classes)[y]
    return y, np.round(p / p.sum(axis=1, keepdims=True), 2)  # rounded: there are ties


def test_agrees_with_scikit_learn():
    y, p = _case()
    found = evaluate(y, p, n_bootstrap=0)
    assert found.auc == pytest.approx(roc_auc_score(y, p[:, 1]), abs=1e-12)
    assert found.balanced_accuracy == pytest.approx(
        balanced_accuracy_score(y, p.argmax(1)), abs=1e-12
    )
    y, p = _case(classes=3)
    exact = p / p.sum(axis=1, keepdims=True)
    assert evaluate(y, exact, n_bootstrap=0).auc == pytest.approx(
        roc_auc_score(y, exact, multi_class="ovr"), abs=1e-12
    )


def test_calibration_error_in_closed_form():
    p = np.tile([0.2, 0.8], (100, 1))
    y = np.r_[np.ones(60, int), np.zeros(40, int)]  # says .8, is right .6 of the time
    assert evaluate(y, p, n_bootstrap=0).calibration_error == pytest.approx(0.2, abs=1e-12)
    y = np.r_[np.ones(80, int), np.zeros(20, int)]
    assert evaluate(y, p, n_bootstrap=0).calibration_error == pytest.approx(0.0, abs=1e-12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = 0
    for k in range(100):
        y = rng.integers(0, 2, 150)
        right = rng.random(150) < 0.8
        p = np.where((right == (y == 1))[:, None], [0.3, 0.7], [0.7, 0.3])
        low, high = evaluate(y, p, n_bootstrap=200, seed=k).intervals["accuracy"]
        covered += low <= 0.8 <= high
    assert 88 <= covered <= 100  # 95 +- 3 standard errors


def test_repeated_scans_of_a_subject_do_not_make_the_figures_surer():
    y, p = _case(60)
    alone = evaluate(y, p, n_bootstrap=200).intervals
    subjects = np.repeat(np.arange(60), 5)  # five copies of each scan: nothing new is known
    repeated = evaluate(y[subjects], p[subjects], subjects=subjects, n_bootstrap=200).intervals
    for name, interval in alone.items():
        assert repeated[name] == pytest.approx(interval, abs=1e-12)
    low, high = evaluate(y[subjects], p[subjects], n_bootstrap=200).intervals["accuracy"]
    assert high - low < 0.6 * (alone["accuracy"][1] - alone["accuracy"][0])


def test_a_subject_without_a_name_is_another_each_time():
    y, p = _case(40)
    assert evaluate(y, p, subjects=[""] * 40, n_bootstrap=50) == evaluate(y, p, n_bootstrap=50)
    with pytest.raises(ArgumentError, match="one entry for each of 40 scans, found 3"):
        evaluate(y, p, subjects=["a", "b", "c"])


def _perfect(y, wrong=False):
    p = np.where(np.eye(2)[y] == 1, 0.9, 0.1)
    return p[:, ::-1] if wrong else p


@pytest.mark.parametrize("n", [2, 10, 64])
def test_all_right_or_all_wrong_has_the_exact_interval(n):
    y = np.arange(n) % 2
    for wrong in (False, True):
        expected = binomtest(0 if wrong else n, n).proportion_ci(method="exact")
        found = evaluate(y, _perfect(y, wrong), n_bootstrap=20).intervals
        assert found["accuracy"] == pytest.approx((expected.low, expected.high), abs=1e-9)
        assert found["balanced_accuracy"] == pytest.approx((expected.low, expected.high), abs=1e-9)
        pairs = binomtest(0 if wrong else n // 2, n // 2).proportion_ci(method="exact")
        assert found["auc"] == pytest.approx((pairs.low, pairs.high), abs=1e-9)


def test_the_exact_interval_counts_subjects_and_the_rarest_class():
    subjects = np.repeat(np.arange(10), 7)
    y = (subjects < 2).astype(int)
    found = evaluate(y, _perfect(y), subjects=subjects, n_bootstrap=20).intervals
    for name, trials in (("accuracy", 10), ("balanced_accuracy", 4), ("auc", 2)):
        assert found[name][0] == pytest.approx(
            binomtest(trials, trials).proportion_ci(method="exact").low, abs=1e-9
        )
        assert found[name][1] == 1.0


def test_an_interval_at_one_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    y, covered = np.arange(10) % 2, 0
    for _ in range(120):
        right = (
            rng.random(10) < 0.95
        )  # six in ten such samples are all right: a bootstrap says [1, 1]
        p = _perfect(np.where(right, y, 1 - y))
        low, high = evaluate(y, p, n_bootstrap=20).intervals["accuracy"]
        covered += low <= 0.95 <= high
    assert covered >= 109  # 95 % less 2 standard errors


def test_one_class_in_the_test_set_has_no_auc():
    found = evaluate([1, 1, 1], [[0.3, 0.7]] * 3)
    assert np.isnan(found.auc) and found.accuracy == 1.0


def test_impossible_shapes_are_refused():
    with pytest.raises(ArgumentError, match="probabilities"):
        evaluate([0, 2], [[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("labels", "rows", "message"),
    [
        ([0.9, 1.0], [[0.5, 0.5]] * 2, r"label 0 is 0\.9, not one of 0\.\.1.*\(1 of 2\)"),
        ([0, np.nan], [[0.5, 0.5]] * 2, r"label 1 is nan"),
        ([0, -1], [[0.5, 0.5]] * 2, r"label 1 is -1"),
        (
            [0, 1],
            [[0.5, 0.5], [3.0, 4.0]],
            r"row 1 of the probabilities is \[3\.0, 4\.0\] with sum 7",
        ),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]], r"row 0 of the probabilities is \[nan, 0\.5\]"),
        ([0, 1], [[0.5, 0.5], [-0.5, 1.5]], "row 1 .*at least 0, with sum 1"),
        (["a", "b"], [[0.5, 0.5]] * 2, "labels must hold real numbers"),
    ],
)
def test_what_is_no_class_or_no_probability_is_named(labels, rows, message):
    with pytest.raises(MeshConvError, match=message):
        evaluate(labels, rows)


def test_labels_may_be_whole_floats_or_truth_values():
    rows = [[0.9, 0.1], [0.4, 0.6]]
    assert evaluate([0.0, 1.0], rows) == evaluate([False, True], rows) == evaluate([0, 1], rows)


def test_subjects_of_another_number_are_refused():
    with pytest.raises(ArgumentError, match="one entry for each of 4 scans, found 2"):
        hold_out([0, 1, 0, 1], ["ann", "bob"], share=0.5)
