"""The kinds of differences that evidence looks for, each compared with chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from meshconv._check import FloatArray, IntArray
from meshconv.stats.coarse import Coarse, whitened
from meshconv.stats.components import Rows, add_products, common_weights, component_count, sampled
from meshconv.stats.searchlight import Statistics
from meshconv.stats.targets import Targets

_MOST_PLACES, _MOST_PAIRED = 300, 130  # at which patches are looked at, and in pairs
_MOST_ROWS = 1000  # that patches are made of
_LANDMARKS = 128  # rows that span the non-linear score
_COMPONENTS, _PAIR_COMPONENTS = 24, 6  # of a patch, at most
_WORK = 2e11  # multiplications that pairs may cost
_BLOCK = 128  # nodes worked on at once: all together would be more than the images
_LEAST_MOMENT = 1e-6  # of pairs: what is less is rounding
_BLUR = 1.0  # of a map whose places are patches, in places; of the others half a node


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of difference, against chance.

    Attributes
    ----------
    name : str
    peaks : (1 + H, T) float64
        The largest value on the map, of the targets and of H permutations of them, less the mean of
        those and in their standard deviations.
    values : (T, B) float64
        Of the targets at each place, in the same units.
    places : (B, 2) int64
        Nodes of the coarse grid.
    partner : (T, B) int64
        With which place each goes together; itself, but for pairs.
    """

    name: str
    peaks: FloatArray
    values: FloatArray
    places: IntArray
    partner: IntArray

    @classmethod
    def of(cls, name: str, values: Rows, places: IntArray) -> Kind:
        """Return a kind from values (P, T, B) of the targets and their permutations, of which the
        first half says what each place gives by chance.
        """
        half = (len(values) - 1) // 2
        chance, tested = values[1 : half + 1], np.delete(values, np.s_[1 : half + 1], axis=0)
        tested -= chance.mean(axis=0)
        tested /= np.maximum(chance.std(axis=0), np.float32(1e-6))
        own = np.broadcast_to(np.arange(len(places)), tested.shape[1:])
        return cls.of_standardized(name, tested, places, own)

    @classmethod
    def of_standardized(cls, name: str, tested: Rows, places: IntArray, partner: IntArray) -> Kind:
        """Return a kind from values (1 + H, T, B) that are alike by chance at all places."""
        largest = tested.max(axis=-1)
        centre, scale = largest[1:].mean(axis=0), np.maximum(largest[1:].std(axis=0), 1e-9)
        values = (tested[0] - centre[:, None]) / scale[:, None]
        return cls(name, (largest - centre) / scale, values, places, partner)

    def on_grid(self, coarse: Coarse, task: int) -> FloatArray:
        """Return the values as a map (m, m), blurred; NaN where no image reaches."""
        total, count = np.zeros(coarse.reached.shape), np.zeros(coarse.reached.shape)
        total[tuple(self.places.T)], count[tuple(self.places.T)] = self.values[task], 1
        stride = np.sqrt(coarse.reached.sum() / len(self.places))
        sigma = _BLUR * stride / 2
        total, count = gaussian_filter(total, sigma), gaussian_filter(count, sigma)
        return np.asarray(np.where(coarse.reached, total / np.maximum(count, 1e-9), np.nan))

    def where(self, task: int, m: int) -> tuple[tuple[float, float], ...]:
        """Return the peak's place, or both of a pair, (u, v) in the unit square."""
        top = int(self.values[task].argmax())
        both = dict.fromkeys([top, int(self.partner[task, top])])
        unit = self.places[list(both)] / max(m - 1, 1)
        return tuple((float(u), float(v)) for v, u in unit)


def all_kinds(coarse: Coarse, targets: Targets, permutations: int, seed: int) -> list[Kind]:
    """Return every kind of difference of the images with the targets."""
    statistics = Statistics(targets, targets.permuted(permutations, seed))
    rows = _some(targets, seed)
    some = statistics.of_rows(rows)
    return [
        *_of_nodes(coarse, statistics),
        _residual(coarse, statistics),
        *_of_patches(coarse, some, rows),
        *_of_pairs(coarse, some, rows),
    ]


def _some(targets: Targets, seed: int) -> IntArray:
    """Return all rows, or those of so many subjects that they are not too many."""
    order = np.random.default_rng([seed, 1]).permutation(targets.subject.max() + 1)
    by_subject = np.argsort(order[targets.subject], kind="stable")
    return np.sort(by_subject[:_MOST_ROWS])


def _of_nodes(coarse: Coarse, statistics: Statistics) -> list[Kind]:
    """Return what is tested at every node: level and texture; and all nodes' level together."""
    places = np.argwhere(coarse.reached)
    found = []
    for name, part in (("mean", coarse.level), ("texture", coarse.texture)):
        ratio = np.concatenate(
            [_ratio(part[:, :, *block.T], statistics) for block in _blocks(places)], axis=-1
        )
        found.append(Kind.of(name, np.sqrt(ratio, out=ratio), places))
        if name == "mean":
            whole = np.square(ratio).mean(axis=-1, keepdims=True)
            peaks = Kind.of(name, whole, places[:1]).peaks
            found.append(Kind("everywhere", peaks, found[0].values, places, found[0].partner))
    return found


def _residual(coarse: Coarse, statistics: Statistics) -> Kind:
    """Return the level at every node, less what individuals have in common, blind to the targets:
    each node is compared with its own kind of variation, not with that of whole heads.
    """
    places, n = np.argwhere(coarse.reached), len(coarse.level)
    sample = sampled(n)
    products = np.zeros((n, len(sample)), dtype=np.float32)
    for block in _blocks(places):
        flat = coarse.level[:, :, *block.T].reshape(n, -1)
        add_products(products, flat, flat[sample])
    weights = common_weights(products, sample, component_count("auto", len(sample) - 1))
    parts = []
    for block in _blocks(places):
        x = coarse.level[:, :, *block.T]
        left = x if weights is None else x - np.tensordot(weights, x[sample], 1)
        parts.append(_ratio(left, statistics))
    ratio = np.concatenate(parts, axis=-1)
    return Kind.of("residual", np.sqrt(ratio, out=ratio), places)


def _blocks(places: IntArray) -> list[IntArray]:
    return [places[k : k + _BLOCK] for k in range(0, len(places), _BLOCK)]


def _ratio(x: Rows, statistics: Statistics) -> Rows:
    """Return the mean F ratio over the channels of nodes (n, C, B), (P, T, B)."""
    ratio = statistics.mean(x.reshape(len(x), -1))
    ratio = ratio.reshape(*ratio.shape[:2], *x.shape[1:]).mean(axis=2)
    return np.asarray(ratio, dtype=np.float32)


def _of_patches(coarse: Coarse, statistics: Statistics, rows: IntArray) -> list[Kind]:
    """Return what is tested of small patches: spread, linear and other patterns."""
    places = coarse.places(_MOST_PLACES)
    chosen = np.random.default_rng(len(rows)).permutation(len(rows))[:_LANDMARKS]
    values: dict[str, list[FloatArray]] = {"spread": [], "linear": [], "local": []}
    for place in places:
        z = whitened(coarse.patch(place, 1, rows), _COMPONENTS)
        values["spread"].append(statistics.spread(z))
        values["linear"].append(statistics.linear(z))
        values["local"].append(statistics.local(z, chosen))
    return [
        Kind.of(name, np.stack(found, axis=-1).astype(np.float32), places)
        for name, found in values.items()
    ]


def _of_pairs(coarse: Coarse, statistics: Statistics, rows: IntArray) -> list[Kind]:
    """Return what is tested of every two places, one permutation at a time."""
    count, n, q = statistics.columns.shape
    most = np.sqrt(_WORK / (2 * n * q * 1.5 * count)) / _PAIR_COMPONENTS
    places = coarse.places(int(min(most, _MOST_PAIRED)))
    if len(places) < 2:
        return []
    parts = np.zeros((len(places), n, _PAIR_COMPONENTS), dtype=np.float32)
    for b, place in enumerate(places):
        z = whitened(coarse.patch(place, 2, rows), _PAIR_COMPONENTS)
        parts[b, :, : z.shape[1]] = z
    half = (count - 1) // 2
    mean = square = np.zeros((len(statistics.targets.starts), len(places), len(places)))
    for k in range(1, half + 1):
        found = statistics.pairs(parts, k)
        mean, square = mean + found / half, square + found.astype(np.float64) ** 2 / half
    spread = np.sqrt(np.maximum(square - mean**2, _LEAST_MOMENT**2))
    itself = np.eye(len(places), dtype=bool)
    best, partner = [], np.zeros(mean.shape[:2], dtype=np.int64)
    for k in [0, *range(half + 1, count)]:
        found = np.where(itself, -np.inf, (statistics.pairs(parts, k) - mean) / spread)
        best.append(found.max(axis=-1))
        if k == 0:
            partner = found.argmax(axis=-1)
    return [Kind.of_standardized("pair", np.stack(best).astype(np.float32), places, partner)]
