/*
 * Polygons laid on outlines, and how far they are from them. The same as in `agss_model/cvat/polygons/outlines.py`, bit for bit: sums run
 * in the same order in both.
 */
import { clip } from './outlines.js';

const PULL = 1; // of a vertex to the outline
const STAY = 0.1; // and to where it is

/** The vertices moved to where their edges lie best on an outline (least squares, a step for all at a time). */
export function settled(start, outline, rounds) {
    let polygon = Float64Array.from(start);
    const [count, length] = [polygon.length / 2, outline.length / 2];
    for (let round = 0; round < rounds; round += 1) {
        const feet = feetOf(polygon, outline);
        const weight = new Float64Array(count).fill(STAY);
        const pull = new Float64Array(2 * count);
        for (const ahead of [0, 1]) {
            for (let row = 0; row < length; row += 1) {
                const vertex = (feet.edge[row] + ahead) % count;
                const by = ahead ? feet.share[row] : 1 - feet.share[row];
                weight[vertex] += by;
                pull[2 * vertex] += by * feet.x[row];
                pull[2 * vertex + 1] += by * feet.y[row];
            }
        }
        const moved = new Float64Array(2 * count);
        for (let i = 0; i < count; i += 1) {
            const nearest = nearestTo(polygon, i, outline).place;
            for (const axis of [0, 1]) {
                const way = pull[2 * i + axis] + PULL * (outline[2 * nearest + axis] - polygon[2 * i + axis]);
                moved[2 * i + axis] = polygon[2 * i + axis] + way / (weight[i] + PULL);
            }
        }
        polygon = moved;
    }
    return polygon;
}

/**
 * Of every point of the outline: the nearest edge, the share along it, the way and the squared distance; and in `all`,
 * where it is given, the squared distance to every edge, an edge after the other.
 */
function feetOf(polygon, outline, all = null) {
    const [count, length] = [polygon.length / 2, outline.length / 2];
    const [share, x, y] = [0, 0, 0].map(() => new Float64Array(length));
    const least = new Float64Array(length).fill(Infinity);
    const edge = new Int32Array(length);
    for (let one = 0; one < count; one += 1) {
        const next = (one + 1) % count;
        const [fromX, fromY] = [polygon[2 * one], polygon[2 * one + 1]];
        const dx = polygon[2 * next] - fromX;
        const dy = polygon[2 * next + 1] - fromY;
        let squared = dx * dx + dy * dy;
        if (!(squared > 0)) squared = 1;
        for (let row = 0; row < length; row += 1) {
            const wayX = outline[2 * row] - fromX;
            const wayY = outline[2 * row + 1] - fromY;
            const part = clip((wayX * dx + wayY * dy) / squared);
            const restX = wayX - part * dx;
            const restY = wayY - part * dy;
            const away = restX * restX + restY * restY;
            if (all) all[one * length + row] = away;
            if (away < least[row]) {
                least[row] = away;
                edge[row] = one;
                share[row] = part;
                x[row] = restX;
                y[row] = restY;
            }
        }
    }
    return { edge, share, x, y, least };
}

function nearestTo(polygon, vertex, outline) {
    let [place, least] = [0, Infinity];
    for (let row = 0; row < outline.length / 2; row += 1) {
        const away = squaredTo(polygon, vertex, outline, row);
        if (away < least) [place, least] = [row, away];
    }
    return { place, least };
}

function squaredTo(polygon, vertex, outline, row) {
    const x = outline[2 * row] - polygon[2 * vertex];
    const y = outline[2 * row + 1] - polygon[2 * vertex + 1];
    return x * x + y * y;
}

/** Whether polygon and outline are nowhere further apart than a tolerance; see `fits` in outlines.py for why. */
export function fits(polygon, outline, tolerance) {
    const [count, length, most] = [polygon.length / 2, outline.length / 2, tolerance * tolerance];
    const away = new Float64Array(count * length);
    if (feetOf(polygon, outline, away).least.some((least) => least > most)) return false;
    const vertices = Array.from({ length: count }, (_, vertex) => nearestTo(polygon, vertex, outline));
    if (vertices.some(({ least }) => least > most)) return false;
    const first = vertices.reduce((best, { least }, i) => (least < vertices[best].least ? i : best), 0);
    const start = vertices[first].place;
    let reached = new Uint8Array(length + 1);
    reached[0] = 1;
    for (let step = 0; step < count; step += 1) {
        const edge = (first + step) % count;
        const onward = new Uint8Array(length + 1);
        let going = false;
        let any = false;
        for (let place = 0; place <= length; place += 1) {
            const row = (start + place) % length;
            going = away[edge * length + row] <= most && (going || reached[place] === 1);
            if (going && squaredTo(polygon, (edge + 1) % count, outline, row) <= most) {
                onward[place] = 1;
                any = true;
            }
        }
        if (!any) return false;
        reached = onward;
    }
    return reached[length] === 1;
}
