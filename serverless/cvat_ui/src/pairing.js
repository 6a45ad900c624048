/*
 * What CVAT shows between two keyframes of a track, and which vertices it moves where. The same as
 * `agss_model/cvat/polygons/pairing.py`.
 */

const MARGIN = 0.5; // pixels along the outline

/** Whether CVAT pairs vertex i of both polygons, for every i. */
export function paired(one, two) {
    if (one.length !== two.length) return false;
    const [a, b] = [relative(one), relative(two)];
    const margin = MARGIN / Math.min(lengthOf(one), lengthOf(two));
    return a.every((value, i) => {
        const meant = Math.abs(value - b[i]) + margin;
        return (i === 0 || meant < Math.abs(value - b[i - 1])) && (i === a.length - 1 || meant < Math.abs(value - b[i + 1]));
    });
}

function edges(ring) {
    const n = ring.length;
    return Array.from({ length: n / 2 }, (_, i) => {
        const dx = ring[(2 * i + 2) % n] - ring[2 * i];
        const dy = ring[(2 * i + 3) % n] - ring[2 * i + 1];
        return Math.sqrt(dx * dx + dy * dy);
    });
}

const lengthOf = (ring) => edges(ring).reduce((total, length) => total + length);

/** Relative length along a closed ring at each vertex, and 1 at the end. */
function relative(ring) {
    const sums = [];
    edges(ring).forEach((length, i) => sums.push((i ? sums[i - 1] : 0) + (length + 1e-9)));
    return [0, ...sums].map((value) => value / sums[sums.length - 1]);
}

/** The vertex with which both should begin; see `best_start` in pairing.py. */
export function bestStart(one, two) {
    const [a, b] = [relative(one), relative(two)];
    const ahead = a.slice(0, -1).map((value, i) => value - b[i]);
    const middle = (Math.max(...ahead) + Math.min(...ahead)) / 2;
    const away = ahead.map((value) => Math.abs(value - middle));
    return away.indexOf(Math.min(...away));
}
