/*
 * "Track all objects" for the annotation page of CVAT: one plain script, no build step, no dependency.
 *
 * It takes the masks and polygons of the current frame, sends all of them to the AGSS-VOS function in one call per
 * frame, and commits masks (one per frame, held together by their group) or polygon tracks as one undo step.
 * It reads top down: masks, outlines, keyframes, what is tracked, the calls, the loop, the result, the action of
 * CVAT's "Run actions", and at the end the page: dialog, notices, button.
 *
 * Frames are numbered as CVAT's player shows them. A ring is a flat list [x0, y0, x1, y1, ...] in pixels whose last
 * point joins the first; pixel (x, y) covers the square from (x, y) to (x + 1, y + 1). A box is part of a mask:
 * {left, top, width, height, data: Uint8Array of 0 and 1, row by row}.
 */
(() => {
    'use strict';

    // Loaded twice, for example by nginx and by a userscript.
    if (window.agssVos) return;

    const NAME = 'Track all objects';
    const SETTINGS_KEY = 'agss-vos.settings.1';

    /* ---------------------------------------------------------------- masks */

    /** CVAT's mask points (runs, background first, then left, top, right, bottom) as a box. */
    function decodeMask(points) {
        const [left, top, right, bottom] = points.slice(-4);
        const width = right - left + 1;
        const data = new Uint8Array(width * (bottom - top + 1));
        let at = 0;
        for (let i = 0; i < points.length - 4; i += 1) {
            if (i % 2) data.fill(1, at, at + points[i]);
            at += points[i];
        }
        return { left, top, width, height: bottom - top + 1, data };
    }

    /** The points of a box, cut to the pixels that are set; null when there is none. */
    function encodeMask({ left, top, width, height, data }) {
        let [x0, y0, x1, y1] = [width, height, -1, -1];
        for (let y = 0; y < height; y += 1) {
            const row = data.subarray(y * width, (y + 1) * width);
            const first = row.indexOf(1);
            if (first < 0) continue;
            x0 = Math.min(x0, first);
            x1 = Math.max(x1, row.lastIndexOf(1));
            y0 = Math.min(y0, y);
            y1 = y;
        }
        if (x1 < 0) return null;
        const points = [];
        let [value, run] = [0, 0];
        for (let y = y0; y <= y1; y += 1) {
            for (let at = y * width + x0; at <= y * width + x1; at += 1) {
                if (data[at] !== value) {
                    points.push(run);
                    [value, run] = [data[at], 0];
                }
                run += 1;
            }
        }
        return [...points, run, left + x0, top + y0, left + x1, top + y1];
    }

    /**
     * Mask points, checked, because CVAT checks nothing: null for an object that is not there (no pixel, or none inside
     * the image). Throws a Sentence, `complaint`, for damaged points.
     */
    function checkedMask(points, { width: imageWidth, height: imageHeight }, complaint = DAMAGED_REPLY) {
        const whole = Array.isArray(points) && points.length >= 5 && points.every(Number.isInteger);
        const runs = whole ? points.slice(0, -4) : [];
        const [left, top, right, bottom] = whole ? points.slice(-4) : [0, 0, -1, -1];
        const area = (right - left + 1) * (bottom - top + 1);
        const filled = runs.every((run) => run >= 0) && runs.reduce((sum, run) => sum + run, 0) === area;
        if (!whole || right < left || bottom < top || !filled) {
            throw new Sentence(complaint);
        }
        const seen = runs.some((run, i) => i % 2 === 1 && run > 0);
        const inside = right >= 0 && bottom >= 0 && left < imageWidth && top < imageHeight;
        return seen && inside ? points : null;
    }

    const DAMAGED_REPLY = 'The tracker answered with a damaged mask. Its version may not fit this button; ask whoever runs CVAT to update both.';

    /** The mask points of a polygon: the pixels whose centre it contains; null when there is none. */
    function maskOfPolygon(ring, { width: imageWidth, height: imageHeight }) {
        const [xs, ys] = [0, 1].map((odd) => ring.filter((_, i) => i % 2 === odd));
        const clip = (value, most) => Math.min(Math.max(value, 0), most);
        const least = (values) => values.reduce((a, b) => Math.min(a, b));
        const most = (values) => values.reduce((a, b) => Math.max(a, b));
        const [left, right] = [clip(Math.floor(least(xs)), imageWidth), clip(Math.ceil(most(xs)), imageWidth)];
        const [top, bottom] = [clip(Math.floor(least(ys)), imageHeight), clip(Math.ceil(most(ys)), imageHeight)];
        const [width, height] = [right - left, bottom - top];
        if (width <= 0 || height <= 0) return null;
        const data = new Uint8Array(width * height);
        xs.forEach((_, i) => {
            const j = (i + 1) % xs.length;
            toggleRightOf({ data, width, height }, xs[i] - left, ys[i] - top, xs[j] - left, ys[j] - top);
        });
        return encodeMask({ left, top, width, height, data });
    }

    /** Even-odd filling: an edge toggles, in each row it crosses, every pixel to its right. */
    function toggleRightOf({ data, width, height }, x0, y0, x1, y1) {
        const row = (y) => Math.min(Math.max(Math.ceil(y - 0.5), 0), height);
        for (let y = row(Math.min(y0, y1)); y < row(Math.max(y0, y1)); y += 1) {
            const crossing = x0 + (y + 0.5 - y0) * ((x1 - x0) / (y1 - y0));
            for (let x = Math.max(Math.ceil(crossing - 0.5), 0); x < width; x += 1) data[y * width + x] ^= 1;
        }
    }

    /* ---------------------------------------------------------------- outlines */

    /** Twice the signed area of a ring; positive when it runs clockwise on the screen. */
    function signedArea(ring) {
        let [area, n] = [0, ring.length];
        for (let i = 0; i < n; i += 2) area += ring[i] * ring[(i + 3) % n] - ring[(i + 2) % n] * ring[i + 1];
        return area;
    }

    /** The exact outline, clockwise along pixel borders, of the largest connected part of a box; holes are left out. */
    function outlineOf({ left, top, width, height, data }) {
        const set = (x, y) => x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === 1;
        const seen = new Uint8Array((width + 1) * (height + 1));
        let [best, bestArea] = [null, 0];
        for (let y = 0; y < height; y += 1) {
            for (let x = 0; x < width; x += 1) {
                if (!set(x, y) || set(x, y - 1) || seen[y * (width + 1) + x]) continue;
                const ring = walk(set, seen, width + 1, x, y);
                const area = signedArea(ring);
                // Holes run the other way round and have a negative area.
                if (area > bestArea) [best, bestArea] = [ring, area];
            }
        }
        return best && best.map((value, i) => value + (i % 2 ? top : left));
    }

    const EAST_SOUTH_WEST_NORTH = [[1, 0], [0, 1], [-1, 0], [0, -1]];

    /** One border, from the corner (x, y) eastward, with the object on the right-hand side. */
    function walk(set, seen, stride, startX, startY) {
        const edge = (x, y, heading) => {
            switch (heading) {
                case 0: return set(x, y) && !set(x, y - 1);
                case 1: return set(x - 1, y) && !set(x, y);
                case 2: return set(x - 1, y - 1) && !set(x - 1, y);
                default: return set(x, y - 1) && !set(x - 1, y - 1);
            }
        };
        const ring = [];
        let [x, y, heading] = [startX, startY, 0];
        do {
            if (heading === 0) seen[y * stride + x] = 1;
            x += EAST_SOUTH_WEST_NORTH[heading][0];
            y += EAST_SOUTH_WEST_NORTH[heading][1];
            // Where two parts touch at a corner, turning right first keeps them apart.
            const next = [heading + 1, heading, heading + 3].map((turn) => turn % 4).find((turn) => edge(x, y, turn));
            if (next !== heading) ring.push(x, y);
            heading = next;
        } while (x !== startX || y !== startY || heading !== 0);
        return ring;
    }

    function distanceToSegment(px, py, ax, ay, bx, by) {
        const dx = bx - ax;
        const dy = by - ay;
        const length = dx * dx + dy * dy;
        const t = length > 0 ? Math.min(Math.max(((px - ax) * dx + (py - ay) * dy) / length, 0), 1) : 0;
        return Math.sqrt((px - ax - t * dx) ** 2 + (py - ay - t * dy) ** 2); // Faster than Math.hypot.
    }

    /** A ring with fewer corners (Douglas-Peucker): no left-out corner is further than `tolerance` from the result. */
    function simplify(ring, tolerance) {
        const n = ring.length / 2;
        const [x, y] = [(i) => ring[2 * (i % n)], (i) => ring[2 * (i % n) + 1]];
        let far = 0;
        for (let i = 1; i < n; i += 1) {
            if (Math.hypot(x(i) - x(0), y(i) - y(0)) > Math.hypot(x(far) - x(0), y(far) - y(0))) far = i;
        }
        const keep = new Set([0, far]);
        const spans = [[0, far], [far, n]];
        while (spans.length) {
            const [from, to] = spans.pop();
            let [worst, at] = [tolerance, -1];
            for (let i = from + 1; i < to; i += 1) {
                const distance = distanceToSegment(x(i), y(i), x(from), y(from), x(to), y(to));
                if (distance > worst) [worst, at] = [distance, i];
            }
            if (at < 0) continue;
            keep.add(at);
            spans.push([from, at], [at, to]);
        }
        if (keep.size < 3) return ring;
        return [...keep].sort((a, b) => a - b).flatMap((i) => [x(i), y(i)]);
    }

    /** The corners that are followed from frame to frame: without the steps of slanted edges, and with tolerance to spare. */
    function fewCorners(outline, tolerance) {
        return simplify(outline, Math.min(Math.max(tolerance / 2, STEPS_GONE), 0.75 * tolerance));
    }

    const STEPS_GONE = 0.9; // pixels from which on simplifying removes these steps

    /** Length along a closed ring up to each of its points, and at the end all of it: n + 1 numbers. */
    function lengthsOf(ring) {
        const n = ring.length;
        const lengths = [0];
        for (let i = 0; i < n; i += 2) {
            lengths.push(lengths[i / 2] + Math.hypot(ring[(i + 2) % n] - ring[i], ring[(i + 3) % n] - ring[i + 1]));
        }
        return lengths;
    }

    /** The corner of a ring at or before a length along it; `length` in [0, total). */
    function cornerBefore(lengths, length) {
        let [low, high] = [0, lengths.length - 2];
        while (low < high) {
            const middle = (low + high + 1) >> 1;
            if (lengths[middle] <= length) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    /** Points of a ring at lengths (any number, taken round the ring): a ring with one point for each. */
    function pointsAt(ring, lengths, wanted) {
        const total = lengths[lengths.length - 1];
        const out = [];
        for (const value of wanted) {
            const length = ((value % total) + total) % total;
            const i = cornerBefore(lengths, length);
            const j = (i + 1) % (ring.length / 2);
            const t = (length - lengths[i]) / (lengths[i + 1] - lengths[i] || 1);
            out.push(ring[2 * i] + t * (ring[2 * j] - ring[2 * i]), ring[2 * i + 1] + t * (ring[2 * j + 1] - ring[2 * i + 1]));
        }
        return out;
    }

    /** How differently two rings of equally many points are shaped, wherever they lie: a sum of squares. */
    function unlikeness(a, b) {
        let [sumX, sumY, squares] = [0, 0, 0];
        for (let i = 0; i < a.length; i += 2) {
            const dx = a[i] - b[i];
            const dy = a[i + 1] - b[i + 1];
            sumX += dx;
            sumY += dy;
            squares += dx * dx + dy * dy;
        }
        return squares - (sumX * sumX + sumY * sumY) / (a.length / 2);
    }

    /**
     * Lays the points of `reference`, the polygon one frame before, onto an outline, so that point i stays point i and
     * the polygon leaves the outline by at most `slack` pixels.
     *
     * First by equal shares of the length, started where the shapes agree best; then, because the length of a ragged edge
     * says little, by moving the reference as a whole and taking the nearest places.
     *
     * Returns {ring, outline, lengths, places}: places are the lengths along the outline at which the points lie. Or
     * null, when the shape has changed too much.
     */
    function matchRing(exact, reference, slack) {
        const outline = signedArea(exact) * signedArea(reference) < 0 ? reversed(exact) : exact;
        const lengths = lengthsOf(outline);
        const shares = placesByShare(outline, lengths, reference);
        const moved = movedOnto(reference, pointsAt(outline, lengths, shares));
        const nearest = nearestPlaces(outline, lengths, moved, shares);
        const rough = nearest ?? shares;
        for (const places of [rough, settled(outline, lengths, rough)]) {
            const fit = { ring: pointsAt(outline, lengths, places), outline, lengths, places };
            if (!apart(fit, fit.ring, slack)) return fit;
        }
        return null;
    }

    function reversed(ring) {
        const out = [];
        for (let i = ring.length - 2; i >= 0; i -= 2) out.push(ring[i], ring[i + 1]);
        return out;
    }

    function placesByShare(outline, lengths, reference) {
        const total = lengths[lengths.length - 1];
        const own = lengthsOf(reference);
        const shares = own.slice(0, -1).map((length) => (length / own[own.length - 1]) * total);
        const at = (shift) => shares.map((share) => share + shift);
        const steps = 128;
        let [best, least] = [0, Infinity];
        const attempt = (shift) => {
            const value = unlikeness(pointsAt(outline, lengths, at(shift)), reference);
            if (value < least) [best, least] = [shift, value];
        };
        for (let i = 0; i < steps; i += 1) attempt((i / steps) * total);
        for (let step = total / steps / 2; step > 0.1; step /= 2) {
            const middle = best;
            attempt(middle - step);
            attempt(middle + step);
        }
        return at(best);
    }

    /** `ring` after the turn, scaling and shift that bring it closest to `target`, point by point (least squares). */
    function movedOnto(ring, target) {
        const n = ring.length / 2;
        const mean = (points, odd) => points.reduce((sum, value, i) => sum + (i % 2 === odd ? value : 0), 0) / n;
        const [cx, cy, tx, ty] = [mean(ring, 0), mean(ring, 1), mean(target, 0), mean(target, 1)];
        let [real, imaginary, norm] = [0, 0, 0];
        for (let i = 0; i < ring.length; i += 2) {
            const [x, y, u, v] = [ring[i] - cx, ring[i + 1] - cy, target[i] - tx, target[i + 1] - ty];
            real += x * u + y * v;
            imaginary += x * v - y * u;
            norm += x * x + y * y;
        }
        const [a, b] = [real / (norm || 1), imaginary / (norm || 1)];
        return ring.map((value, i) => (i % 2
            ? ty + b * (ring[i - 1] - cx) + a * (value - cy)
            : tx + a * (value - cx) - b * (ring[i + 1] - cy)));
    }

    /** For each point the place of the outline nearest to it, looked for near `around`; null when they change order. */
    function nearestPlaces(outline, lengths, ring, around) {
        const total = lengths[lengths.length - 1];
        const places = around.map((place, i) => nearestPlace(outline, lengths, ring[2 * i], ring[2 * i + 1], place, total / 16));
        const ordered = places.every((place, i) => i === 0 || place > places[i - 1]);
        return ordered && places[places.length - 1] < places[0] + total ? places : null;
    }

    function nearestPlace(outline, lengths, px, py, around, reach) {
        const n = lengths.length - 1;
        const total = lengths[n];
        const from = around - reach;
        const round = Math.floor(from / total) * total;
        const first = cornerBefore(lengths, from - round);
        let [best, least] = [around, Infinity];
        for (let k = first; lengths[k % n] + Math.floor(k / n) * total + round <= around + reach; k += 1) {
            const i = k % n;
            const j = (k + 1) % n;
            const x = outline[2 * i];
            const y = outline[2 * i + 1];
            const dx = outline[2 * j] - x;
            const dy = outline[2 * j + 1] - y;
            const side = lengths[i + 1] - lengths[i];
            const t = Math.min(Math.max(((px - x) * dx + (py - y) * dy) / (side * side || 1), 0), 1);
            const distance = (x + t * dx - px) ** 2 + (y + t * dy - py) ** 2;
            if (distance >= least) continue;
            least = distance;
            best = lengths[i] + t * side + Math.floor(k / n) * total + round;
        }
        return best;
    }

    /**
     * Largest distance of the outline's corners between two places from an open line [x0, y0, x1, y1, ...]. Most of the
     * time of a track goes by here, so it is written plainly.
     */
    function bulge({ outline, lengths }, from, to, line) {
        const n = lengths.length - 1;
        let round = Math.floor(from / lengths[n]) * lengths[n];
        let corner = cornerBefore(lengths, from - round) + 1;
        let largest = 0;
        for (; ; corner += 1) {
            if (corner >= n) {
                corner -= n;
                round += lengths[n];
            }
            if (lengths[corner] + round >= to) return largest;
            const x = outline[2 * corner];
            const y = outline[2 * corner + 1];
            let nearest = Infinity;
            for (let i = 0; i < line.length - 2; i += 2) {
                nearest = Math.min(nearest, distanceToSegment(x, y, line[i], line[i + 1], line[i + 2], line[i + 3]));
            }
            largest = Math.max(largest, nearest);
        }
    }

    /** The side of a ring after point i with its two neighbours: four points. */
    const sidesAround = (ring, i) => [-2, -1, 0, 1, 2, 3, 4, 5].map((k) => ring[(2 * i + k + ring.length) % ring.length]);

    /** Whether outline and ring, which correspond at `places`, are anywhere further apart than `tolerance`. */
    function apart(fit, ring, tolerance) {
        const { outline, lengths, places } = fit;
        const total = lengths[lengths.length - 1];
        return places.some((place, i) => {
            const to = i + 1 < places.length ? places[i + 1] : places[0] + total;
            // Corners may slide a little along the outline from frame to frame, so the neighbouring sides count too.
            if (bulge(fit, place, to, sidesAround(ring, i)) > tolerance) return true;
            const nearest = nearestPlace(outline, lengths, ring[2 * i], ring[2 * i + 1], place, total / 16);
            const [x, y] = pointsAt(outline, lengths, [nearest]);
            return Math.hypot(x - ring[2 * i], y - ring[2 * i + 1]) > tolerance;
        });
    }

    /**
     * Moves places along the outline, one at a time and a few pixels, to where the sides beside them fit best. Without
     * it, each frame would cut a little more off the corners of an object that turns.
     */
    function settled(outline, lengths, places) {
        const total = lengths[lengths.length - 1];
        const n = places.length;
        const out = [...places];
        const cost = (from, to) => bulge({ outline, lengths }, from, to, pointsAt(outline, lengths, [from, to])) ** 2;
        for (let i = 0; i < n; i += 1) {
            const before = i ? out[i - 1] : out[n - 1] - total;
            const after = i < n - 1 ? out[i + 1] : out[0] + total;
            const start = out[i];
            let least = cost(before, start) + cost(start, after);
            NUDGES.map((nudge) => start + nudge).filter((place) => place > before && place < after).forEach((place) => {
                const value = cost(before, place) + cost(place, after);
                if (value < least - 1e-6) [out[i], least] = [place, value];
            });
        }
        return out;
    }

    const NUDGES = [-1, 1, -2, 2, -4, 4, -6, 6];

    /* ---------------------------------------------------------------- keyframes */

    /**
     * Whether CVAT pairs the corners of two polygons by their numbers: it takes, for each corner, the one that lies at
     * the nearest share of the other's length. By a margin of half a pixel, because corners are rounded afterwards.
     */
    function paired(one, two) {
        const [a, b] = [lengthsOf(one), lengthsOf(two)];
        const n = one.length / 2;
        const [sizeA, sizeB] = [a[n], b[n]];
        const margin = 0.5 / Math.min(sizeA, sizeB);
        return a.every((length, i) => {
            const away = (j) => Math.abs(length / sizeA - b[j] / sizeB);
            return [i - 1, i + 1].every((j) => j < 0 || j > n || away(i) + margin < away(j));
        });
    }

    /** Whether on every frame between two keyframes the interpolated polygon stays within `tolerance` of the outline. */
    function straight(from, between, to, tolerance) {
        if (between.length && !paired(from.ring, to.ring)) return false;
        return between.every(({ frame, fit }) => {
            const t = (frame - from.frame) / (to.frame - from.frame);
            const ring = from.ring.map((value, i) => value + t * (to.ring[i] - value));
            return !apart(fit, ring, tolerance);
        });
    }

    /**
     * Picks the keyframes of one polygon track while its outlines arrive frame by frame, in either direction.
     *
     * On every tracked frame the polygon, interpolated or not, stays within `tolerance` pixels of the exact outline. The
     * corners are chosen once and then followed, so that the polygons of neighbouring keyframes correspond point by
     * point; where the shape has changed too much for that, new corners are chosen and both neighbouring frames are
     * keyframes, so nothing is ever interpolated between polygons that do not correspond.
     */
    class Keyframes {
        constructor(tolerance) {
            this.tolerance = tolerance;
            this.keys = []; // {frame, ring}, in the order of tracking; the last one also {outline, free}
            this.waiting = []; // {frame, fit} since the last key, not yet known to be needed
        }

        /** A polygon that a person drew: a keyframe exactly as it is, from whose corners the next ones are made. */
        draw(frame, ring) {
            this.begin({ frame, ring });
        }

        begin(key) {
            this.flush();
            this.push(key, 0);
            this.last = key.ring;
        }

        /** `skipped`: frames between the key and the one before, on which CVAT interpolates. */
        push(key, skipped) {
            if (skipped) delete this.keys[this.keys.length - 1].outline;
            else this.relax();
            this.keys.push({ ...key, free: !skipped });
        }

        /** A last keyframe from and to which nothing is interpolated may have fewer corners and use all of the tolerance. */
        relax() {
            const key = this.keys[this.keys.length - 1];
            if (key?.free && key.outline) key.ring = simplify(key.outline, this.tolerance);
            delete key?.outline;
        }

        /** The exact outline of the next frame. */
        add(frame, outline) {
            // Some of the tolerance is left for the frames that follow and for those between.
            const fit = this.last && matchRing(outline, this.last, 0.75 * this.tolerance);
            if (!fit) {
                this.begin({ frame, ring: fewCorners(outline, this.tolerance), outline });
                return;
            }
            const here = { frame, ring: fit.ring };
            const tooFar = this.waiting.length >= LONGEST_GAP;
            if (tooFar || !straight(this.keys[this.keys.length - 1], this.waiting, here, this.tolerance)) this.flush();
            this.waiting.push({ frame, fit });
            this.last = fit.ring;
        }

        /** The object is not there: nothing is interpolated across this gap. */
        lose() {
            this.flush();
            this.last = null;
        }

        flush() {
            const last = this.waiting.pop();
            if (last) this.push({ frame: last.frame, ring: last.fit.ring, outline: last.fit.outline }, this.waiting.length);
            this.waiting = [];
        }

        finish() {
            this.flush();
            this.relax();
            return this.keys;
        }
    }

    const LONGEST_GAP = 50; // frames between two keyframes: bounds time and memory

    /* ---------------------------------------------------------------- what is tracked */

    const isOutline = (shape) => shape.type === 'mask' || shape.type === 'polygon';
    const keyframeAt = (track, frame) => track.shapes.find(
        (shape) => shape.frame === frame && shape.type === 'polygon' && !shape.outside,
    );

    /** The objects of one frame that can be tracked: masks, polygons, and polygon tracks with a keyframe there. */
    function trackable({ shapes = [], tracks = [] }, frame) {
        return {
            shapes: shapes.filter((shape) => shape.frame === frame && isOutline(shape)),
            tracks: tracks.filter((track) => keyframeAt(track, frame)),
            tags: [],
        };
    }

    /** Mask or track: what was asked for, unless the label takes only one of them; a track stays a track. */
    function resultKind(output, source, label) {
        if (source.shapes || label?.type === 'polygon') return 'track';
        if (label?.type === 'mask') return 'mask';
        if (output === 'drawn') return source.type === 'polygon' ? 'track' : 'mask';
        return output;
    }

    /** The frames from `frame` (not included) to `target`, in the order of tracking, without the deleted ones. */
    function framesBetween(numbers, deleted, frame, target) {
        const backward = target < frame;
        const [low, high] = backward ? [target, frame - 1] : [frame + 1, target];
        const between = numbers.filter((number) => number >= low && number <= high && !deleted[number]);
        return between.sort((a, b) => (backward ? b - a : a - b));
    }

    /**
     * One object of a run. `given` holds what a person drew of it on the way (kept, and tracking goes on from there),
     * `replaced` what an earlier run left there.
     */
    class Tracked {
        constructor(source, frame, label, output, image) {
            const drawn = source.shapes ? keyframeAt(source, frame) : source;
            this.source = source;
            this.label = label;
            this.kind = resultKind(output, source, label);
            this.start = toMask(drawn, image);
            this.group = source.group || 0;
            this.given = new Map(); // frame -> {shape, mask: points, or null for "not there"}
            this.replaced = new Map(); // frame -> clientIDs
            this.masks = []; // {frame, points, score}
            this.lost = []; // frames
            this.state = null;
            this.drawn = drawn;
        }

        get name() {
            const label = this.label?.name ?? `label ${this.source.label_id}`;
            return this.group ? `${label} (group ${this.group})` : label;
        }

        /** Sorts what is already there of this object on the frames to come. */
        meet(all, frames, image) {
            const coming = new Set(frames);
            if (this.source.shapes) {
                // Keyframes carry no author, tracks do: those of a track that was drawn by hand are kept.
                const byHand = this.source.source === 'manual';
                const ahead = this.source.shapes.filter((shape) => byHand && coming.has(shape.frame));
                ahead.forEach((shape) => this.give(shape, shape.outside ? null : toMask(shape, image)));
                return;
            }
            if (!this.group || this.newGroup) return;
            const earlier = all.shapes.filter(
                (shape) => coming.has(shape.frame) && isOutline(shape) && sameObject(shape, this.source),
            );
            earlier.filter((shape) => shape.source === 'auto').forEach((shape) => this.replace(shape));
            earlier.filter((shape) => shape.source !== 'auto' && !this.given.has(shape.frame)).forEach((shape) => {
                const mask = toMask(shape, image);
                if (!mask) return;
                this.give(shape, mask);
                // A track takes the place of what was drawn; masks stand beside it.
                if (this.kind === 'track') this.replace(shape);
            });
        }

        give(shape, mask) {
            this.given.set(shape.frame, { shape, mask });
        }

        replace({ frame, clientID }) {
            this.replaced.set(frame, [...this.replaced.get(frame) ?? [], clientID]);
        }
    }

    const sameObject = (a, b) => a.label_id === b.label_id && a.group === b.group;

    function toMask(shape, image) {
        if (shape.type === 'polygon') return maskOfPolygon(shape.points, image);
        return checkedMask(shape.points, image, `A mask on frame ${shape.frame} is damaged. Draw it again, then start tracking.`);
    }

    /**
     * The objects of a run, from what CVAT hands over (`chosen`) and everything in the job (`all`). An object that becomes
     * masks needs a group of its own; where two of one label share a group, the first keeps it.
     */
    function plan({ chosen, all, frame, frames, output, labels, image }) {
        const label = new Map(labels.map((entry) => [entry.id, entry]));
        const sources = [...chosen.shapes, ...chosen.tracks];
        const objects = sources.map((source) => new Tracked(source, frame, label.get(source.label_id), output, image));
        const neighbours = trackable(all, frame).shapes;
        objects.filter((object) => !object.source.shapes).forEach((object) => {
            const first = neighbours.find((shape) => sameObject(shape, object.source));
            const shared = Boolean(object.group && first && first.clientID !== object.source.clientID);
            object.newGroup = object.kind === 'mask' ? shared || !object.group : shared;
        });
        let group = Math.max(0, ...[all.shapes, all.tracks].map(
            (list) => list.reduce((most, { group: value }) => Math.max(most, value || 0), 0),
        ));
        objects.filter((object) => object.newGroup && object.kind === 'mask').forEach((object) => {
            group += 1;
            object.group = group;
        });
        objects.forEach((object) => object.meet(all, frames, image));
        return objects.filter((object) => object.start);
    }

    /* ---------------------------------------------------------------- calls */

    /** An error whose message is meant for the annotator. */
    class Sentence extends Error {}

    const BUSY = new Set([429, 502, 503]);
    const PAUSES = [1, 2, 4]; // seconds before each new attempt

    // CVAT passes on the status of the function and drops its body, so the status is all there is to tell.
    const SENTENCES = {
        400: 'The tracker could not use this request. The function may have been updated meanwhile; start again from this frame.',
        401: 'CVAT has signed you out. Sign in again in another tab, then try again.',
        403: 'Your account may not run trackers on this job. Ask the owner of the project.',
        404: 'The tracker is no longer there. Ask whoever runs CVAT whether the AGSS-VOS function is deployed.',
        408: 'The tracker took too long for this frame and was restarted. Try again, or track fewer objects at once.',
        413: 'This is more than the tracker accepts at once (100 objects, or a very large picture). Track fewer objects.',
        422: 'The tracker cannot use this frame or one of its masks. Check the shapes of this frame.',
        429: 'The tracker is busy with other work. Try again in a minute.',
        500: 'The tracker failed on this frame. Try again; if it happens again, whoever runs CVAT finds the reason in the log of the function.',
        502: 'CVAT could not reach the tracker. Ask whoever runs CVAT whether the AGSS-VOS function is running.',
        503: 'The tracker is busy, just starting, or short of memory. Try again in a minute, or track fewer objects at once.',
        504: 'The tracker took too long for this frame. Try again, or track fewer objects at once.',
    };

    /** The HTTP status in an error of CVAT, or 0 when no server answered. */
    function statusOf(error) {
        if (Number.isInteger(error?.code)) return error.code;
        return Number(/\b([45]\d\d)\b/.exec(String(error?.message ?? error))?.[1] ?? 0);
    }

    function explain(error) {
        if (error instanceof Sentence) return error.message;
        const text = String(error?.message ?? error);
        if (/tracker state/i.test(text)) {
            return 'What the tracker knew about this video is too old (8 hours) or belongs to an earlier version of it. Start again from this frame.';
        }
        const status = statusOf(error);
        if (!status && /network|fetch|timeout|abort/i.test(text)) {
            return `CVAT did not answer. Check the network connection and try again. (${text})`;
        }
        if (!status) return `Something went wrong that this button does not know. Please report it: ${text}`;
        return `${SENTENCES[status] ?? SENTENCES[status < 500 ? 400 : 500]} (${status})`;
    }

    /** The trackers that this button can drive: those called AGSS, or else every one that takes masks. */
    async function listTrackers(core) {
        const { models } = await core.lambda.list();
        const takesMasks = (model) => {
            const types = model.supportedShapeTypes ?? model.supported_shape_types;
            return !Array.isArray(types) || types.includes('mask');
        };
        const trackers = models.filter((model) => model.kind === 'tracker' && takesMasks(model));
        const ours = trackers.filter((model) => /agss/i.test(`${model.id} ${model.name}`));
        return ours.length ? ours : trackers.filter((model) => model.supportedShapeTypes ?? model.supported_shape_types);
    }

    function chooseTracker(trackers, id) {
        if (!trackers.length) {
            throw new Sentence('No AGSS-VOS tracker is deployed on this CVAT. Ask whoever runs CVAT to deploy the AGSS-VOS function.');
        }
        return trackers.find((tracker) => tracker.id === id) ?? trackers[0];
    }

    /** One tracker on one job: every method is one call for all objects given. */
    class Tracker {
        constructor(core, job, model) {
            Object.assign(this, { core, job, model });
        }

        /** Starts objects from their masks; returns a state for each. */
        async start(frame, masks) {
            const shapes = masks.map((points) => ({ type: 'mask', points }));
            const { states } = await this.call({ type: 'init_tracking', frame, shapes }, masks.length);
            return states;
        }

        /** The next frame: {states, shapes}, one each per state sent; a shape may be null. */
        async step(frame, states) {
            const reply = await this.call({ type: 'track', frame, states }, states.length);
            if (reply.shapes?.length !== states.length) throw new Sentence(MISFIT);
            return reply;
        }

        async call(message, count) {
            for (let attempt = 0; ; attempt += 1) {
                try {
                    const reply = await this.core.lambda.call(this.job.taskId, this.model, { job: this.job.id, ...message });
                    if (reply?.states?.length !== count) throw new Sentence(MISFIT);
                    return reply;
                } catch (error) {
                    // A call that found no free worker did nothing, and states may be sent again.
                    if (attempt === PAUSES.length || !BUSY.has(statusOf(error))) throw error;
                    await sleep(PAUSES[attempt] * 1000);
                }
            }
        }
    }

    const MISFIT = 'The tracker answered with something else than masks of the objects it was asked about. Ask whoever runs CVAT to look at the log of the function.';
    const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

    /* ---------------------------------------------------------------- the loop */

    /** Starts every object; a track begins with exactly what was drawn. */
    async function begin(tracker, objects, frame, tolerance) {
        const states = await tracker.start(frame, objects.map((object) => object.start));
        objects.forEach((object, i) => {
            object.state = states[i];
            if (object.kind !== 'track') return;
            object.keyframes = new Keyframes(tolerance);
            object.keyframes.draw(frame, ringOf(object.drawn, object.start, tolerance));
        });
    }

    function ringOf(shape, mask, tolerance) {
        return shape.type === 'polygon' ? shape.points : fewCorners(outlineOf(decodeMask(mask)), tolerance);
    }

    /**
     * One frame: one call for all objects, and a second one only where a person drew some of them. Nothing is kept before
     * both have succeeded, so a failed frame can be tried again.
     */
    async function advance(tracker, objects, frame, image, tolerance) {
        const followed = objects.filter((object) => object.state && !object.given.has(frame));
        const drawn = objects.filter((object) => object.given.get(frame)?.mask);
        const none = { states: [], shapes: [] };
        const reply = followed.length ? await tracker.step(frame, followed.map((object) => object.state)) : none;
        const masks = reply.shapes.map((shape) => shape && checkedMask(shape.points, image));
        const started = drawn.length ? await tracker.start(frame, drawn.map((object) => object.given.get(frame).mask)) : [];
        return () => {
            objects.filter((object) => object.given.has(frame)).forEach((object) => object.state = null);
            drawn.forEach((object, i) => object.state = started[i]);
            followed.forEach((object, i) => {
                object.state = reply.states[i];
                record(object, frame, masks[i], reply.shapes[i]?.score);
            });
            objects.filter((object) => !followed.includes(object)).forEach((object) => recordGiven(object, frame, tolerance));
        };
    }

    function record(object, frame, points, score) {
        if (!points) {
            object.lost.push(frame);
            object.keyframes?.lose();
        } else if (object.kind === 'track') {
            object.keyframes.add(frame, outlineOf(decodeMask(points)));
        } else {
            object.masks.push({ frame, points, score });
        }
    }

    function recordGiven(object, frame, tolerance) {
        const given = object.given.get(frame);
        if (!given?.mask) {
            object.keyframes?.lose();
            object.absent = [...object.absent ?? [], frame];
        } else if (object.kind === 'track') {
            object.keyframes.draw(frame, ringOf(given.shape, given.mask, tolerance));
        }
    }

    /**
     * Tracks `objects` over `frames`; returns the frames that are done, or throws a Sentence.
     *
     * `control` decides what the page decides: `progress(done, frame)`, `ended` (a promise of 'keep' or 'discard', when the
     * annotator has enough), `settled()` (waits while the annotator is being asked) and `failed(text, done)` (a promise of
     * 'again', 'keep' or 'discard').
     */
    async function trackAll({ tracker, objects, frame, frames, image, tolerance, control }) {
        const done = [];
        let begun = false;
        while (done.length < frames.length) {
            const next = frames[done.length];
            control.progress(done.length, begun ? next : frame);
            const work = begun ? advance(tracker, objects, next, image, tolerance) : begin(tracker, objects, frame, tolerance);
            // The end does not wait for a running call, which cannot be taken back.
            const outcome = await Promise.race([control.ended, work.then((keep) => ({ keep }), (error) => ({ error }))]);
            const decision = typeof outcome === 'string' ? outcome : await control.settled();
            if (decision === 'keep') return done;
            if (decision === 'discard') return [];
            if (outcome.error) {
                const answer = await control.failed(explain(outcome.error), done.length);
                if (answer !== 'again') return answer === 'keep' ? done : [];
            } else if (!begun) {
                begun = true;
            } else {
                outcome.keep();
                done.push(next);
            }
        }
        return done;
    }

    /* ---------------------------------------------------------------- the result */

    const emptyCollection = () => ({ shapes: [], tags: [], tracks: [] });

    /** A copy that CVAT takes for a new object. */
    function copyOf(object, changes) {
        const { id, clientID, ...rest } = object;
        return { ...rest, ...changes };
    }

    function maskShape(object, { frame, points, score }) {
        const { label_id, attributes = [], z_order = 0 } = object.source;
        return {
            type: 'mask', frame, points, label_id, group: object.group, source: 'auto', z_order, rotation: 0,
            occluded: false, outside: false, elements: [], attributes: attributes.map((entry) => ({ ...entry })),
            ...(Number.isFinite(score) ? { score } : {}),
        };
    }

    /** The keyframes of an object in ascending order, with an `outside` one wherever it stops being visible. */
    function trackShapes(object, frame, done, lastFrame) {
        const template = { type: 'polygon', rotation: 0, z_order: object.drawn.z_order ?? 0, attributes: [] };
        const drawn = new Map([...object.given].map(([at, { shape }]) => [at, shape]));
        const keys = object.keyframes.finish().map(({ frame: at, ring }) => ({
            ...template, frame: at, outside: false, points: ring.map((value) => Math.round(value * 100) / 100),
            occluded: (at === frame ? object.drawn : drawn.get(at))?.occluded ?? false,
        })).sort((a, b) => a.frame - b.frame);
        const gone = new Set([...object.lost, ...object.absent ?? []]);
        const frames = [frame, ...done].sort((a, b) => a - b);
        const after = frames[frames.length - 1] + 1;
        const hide = (at) => {
            const last = keys.filter((key) => key.frame < at && !key.outside).pop();
            return { ...last, frame: at, outside: true };
        };
        const stops = frames.filter((at, i) => i > 0 && gone.has(at) && !gone.has(frames[i - 1]));
        if (!gone.has(after - 1) && after <= lastFrame) stops.push(after);
        return [...keys, ...stops.map(hide)].sort((a, b) => a.frame - b.frame);
    }

    /** Attributes that may change stay with the first keyframe, the others with the track. */
    function splitAttributes(attributes, label) {
        const mutable = new Set((label?.attributes ?? []).filter((entry) => entry.mutable).map((entry) => entry.id));
        const isMutable = (entry) => mutable.has(entry.spec_id);
        return [attributes.filter((entry) => !isMutable(entry)), attributes.filter(isMutable)];
    }

    function newTrack(object, shapes) {
        const { label_id, group = 0, attributes = [] } = object.source;
        const [fixed, mutable] = splitAttributes(attributes, object.label);
        shapes[0].attributes = mutable;
        return { label_id, group, source: 'auto', frame: shapes[0].frame, attributes: fixed, elements: [], shapes };
    }

    /** First and last of frames that are in the order of tracking, forward or backward. */
    function ends(frames) {
        const [a, b] = [frames[0], frames[frames.length - 1]];
        return a < b ? [a, b] : [b, a];
    }

    /** An existing track: keyframes on the tracked frames are new, all others stay as they are. */
    function continuedTrack(object, shapes, frame, done) {
        const range = new Set(done);
        const [low, high] = ends(done);
        const old = object.source.shapes;
        const kept = old.filter((shape) => shape.frame === frame || shape.frame < low || shape.frame > high);
        const byHand = old.filter((shape) => range.has(shape.frame) && object.given.has(shape.frame));
        const later = kept.some((shape) => shape.frame > high);
        const taken = new Set([...kept, ...byHand].map((shape) => shape.frame));
        const fresh = shapes.filter((shape) => !taken.has(shape.frame) && (shape.frame <= high || !later));
        const merged = [...kept, ...byHand, ...fresh].sort((a, b) => a.frame - b.frame).map(({ id, ...shape }) => shape);
        return copyOf(object.source, { frame: merged[0].frame, shapes: merged });
    }

    /** What is committed: {created, deleted}. `now` is everything in the job, as CVAT exports it at this moment. */
    function assemble({ objects, frame, done, lastFrame, now }) {
        const [created, deleted] = [emptyCollection(), emptyCollection()];
        if (!done.length) return { created, deleted };
        const present = new Map([...now.shapes, ...now.tracks].map((object) => [object.clientID, object]));
        const reached = new Set(done);
        const remove = (clientID) => {
            const object = present.get(clientID);
            if (object) (object.shapes ? deleted.tracks : deleted.shapes).push(object);
            present.delete(clientID);
        };
        objects.filter((object) => present.has(object.source.clientID)).forEach((object) => {
            object.replaced.forEach((clientIDs, at) => reached.has(at) && clientIDs.forEach(remove));
            if (object.kind === 'mask') {
                created.shapes.push(...object.masks.map((mask) => maskShape(object, mask)));
                if (!object.masks.length || object.source.group === object.group) return;
                created.shapes.push(copyOf(object.source, { group: object.group }));
            } else {
                const shapes = trackShapes(object, frame, done, lastFrame);
                const fresh = !object.source.shapes;
                if (fresh && shapes.every((shape) => shape.frame === frame || shape.outside)) return;
                created.tracks.push(fresh ? newTrack(object, shapes) : continuedTrack(object, shapes, frame, done));
            }
            remove(object.source.clientID);
        });
        return { created, deleted };
    }

    /** What the annotator is told: how much there is, and where to look. */
    function summarize({ objects, done }) {
        return {
            objects: objects.length,
            frames: done.length,
            last: done[done.length - 1],
            regrouped: objects.filter((object) => object.newGroup && object.source.group && object.masks.length).length,
            lost: objects.filter((object) => object.lost.length)
                .map((object) => ({ name: object.name, frames: [...object.lost].sort((a, b) => a - b) })),
        };
    }

    /* ---------------------------------------------------------------- settings */

    const OUTPUTS = { drawn: 'As drawn', mask: 'Masks', track: 'Polygon tracks' };
    const DEFAULTS = { output: 'drawn', tolerance: 2, reach: 'end', keep: true, model: '' };

    /** What was chosen last; anything unreadable, or out of range, is the default again. */
    function loadSettings() {
        let saved = null;
        try {
            saved = JSON.parse(localStorage.getItem(SETTINGS_KEY));
        } catch { /* no storage, or not ours */ }
        const valid = {
            output: (value) => Object.hasOwn(OUTPUTS, value),
            tolerance: (value) => Number.isFinite(value) && value >= 0.5 && value <= 20,
            reach: (value) => value === 'start' || value === 'end' || (Number.isInteger(value) && value !== 0),
            keep: (value) => typeof value === 'boolean',
            model: (value) => typeof value === 'string',
        };
        const read = (key) => (valid[key](saved?.[key]) ? saved[key] : DEFAULTS[key]);
        return Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, read(key)]));
    }

    function saveSettings(settings) {
        try {
            localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
        } catch { /* private windows and full storages remember nothing */ }
    }

    /** A target as a wish that fits the next job too: to the end, to the start, or so many frames on. */
    function reachOf(target, frame, { startFrame, stopFrame }) {
        if (target === stopFrame) return 'end';
        return target === startFrame ? 'start' : target - frame;
    }

    function targetOf(reach, frame, { startFrame, stopFrame }) {
        const target = { start: startFrame, end: stopFrame }[reach] ?? Math.min(Math.max(frame + reach, startFrame), stopFrame);
        if (target !== frame) return target;
        return frame === stopFrame ? startFrame : stopFrame;
    }

    /* ---------------------------------------------------------------- the action of "Run actions" */

    const PARAMETERS = {
        target: 'Track to frame', output: 'Result', tolerance: 'Tolerance of tracks (pixels)', keep: 'Keep finished frames when cancelled', model: 'Tracker',
    };

    /** Settings as the parameters that an action declares, all of them strings. */
    function toParameters(declared, { target, output, tolerance, keep, model }) {
        const values = { target, output: OUTPUTS[output], tolerance, keep, model };
        const used = Object.entries(PARAMETERS).filter(([, label]) => label in declared);
        return Object.fromEntries(used.map(([key, label]) => [label, String(values[key])]));
    }

    function fromParameters(parameters, defaults) {
        const value = (key) => parameters[PARAMETERS[key]];
        return {
            target: Number(value('target')),
            output: Object.keys(OUTPUTS).find((key) => OUTPUTS[key] === value('output')) ?? defaults.output,
            tolerance: Number(value('tolerance')) || defaults.tolerance,
            keep: String(value('keep') ?? defaults.keep) === 'true',
            model: value('model') ?? defaults.model,
        };
    }

    /** Thrown to leave a run of the dialog without a commit, and so without an empty undo step. */
    class Discarded extends Error {}

    /** The class needs CVAT's base class, so it is made when the page hands that over. */
    function actionClass(page) {
        const { core, store } = page;
        return class TrackAllObjects extends core.classes.BaseCollectionAction {
            /** `only`: clientID of the one object to track. `control`: see trackAll; CVAT's own window by default. */
            constructor({ only = null, control = null } = {}) {
                super();
                Object.assign(this, { only, makeControl: control ?? ((input) => new ModalControl(page, input)) });
            }

            get name() {
                return NAME;
            }

            get parameters() {
                const settings = loadSettings();
                const frame = () => store.getState().annotation.player.frame.number;
                const models = page.trackers.map((tracker) => tracker.id);
                const text = (key) => PARAMETERS[key];
                return {
                    [text('target')]: {
                        type: 'number',
                        values: ({ instance }) => [String(instance.startFrame), String(instance.stopFrame), '1'],
                        defaultValue: ({ instance }) => String(targetOf(settings.reach, frame(), instance)),
                    },
                    [text('output')]: { type: 'select', values: Object.values(OUTPUTS), defaultValue: OUTPUTS[settings.output] },
                    [text('tolerance')]: { type: 'number', values: ['0.5', '20', '0.5'], defaultValue: String(settings.tolerance) },
                    [text('keep')]: { type: 'checkbox', values: ['true', 'false'], defaultValue: String(settings.keep) },
                    ...(models.length > 1 && {
                        [text('model')]: {
                            type: 'select', values: models, defaultValue: models.includes(settings.model) ? settings.model : models[0],
                        },
                    }),
                };
            }

            async init(job, parameters) {
                this.job = job;
                this.settings = fromParameters(parameters, loadSettings());
            }

            async destroy() {
                // CVAT's window does not redraw after a partial result. The commit may still be under way.
                if (this.mustRedraw) setTimeout(() => page.redraw(), 300);
                this.mustRedraw = false;
            }

            isApplicableForObject({ objectType, shapeType }) {
                return shapeType === 'polygon' || (shapeType === 'mask' && objectType === 'shape');
            }

            applyFilter({ collection, frameData }) {
                const { shapes, tracks, tags } = trackable(collection, frameData.number);
                const wanted = ({ clientID }) => this.only === null || clientID === this.only;
                return { shapes: shapes.filter(wanted), tracks: tracks.filter(wanted), tags };
            }

            async run({ collection, frameData, onProgress, cancelled }) {
                if (page.running) throw new Sentence('Tracking is already running. Wait until it has ended.');
                page.running = true;
                const control = this.makeControl({ onProgress, cancelled, job: this.job, settings: this.settings });
                try {
                    return await this.track(collection, frameData, control);
                } finally {
                    control.close();
                    page.running = false;
                }
            }

            async track(chosen, image, control) {
                const { job, settings } = this;
                const frame = image.number;
                const [trackers, { frames, deleted }, all] = await Promise.all([
                    explained(listTrackers(core)), framesOf(core, job, frame, settings.target), job.annotations.export(),
                ]);
                const tracker = new Tracker(core, job, chooseTracker(trackers, settings.model));
                const objects = plan({ chosen, all, frame, frames, output: settings.output, labels: job.labels, image });
                const reason = deleted ? `Frame ${frame} is deleted. Restore it, or start from another frame.` : refusal(objects, frames, frame);
                if (reason) throw new Sentence(reason);
                saveSettings({ ...settings, reach: reachOf(settings.target, frame, job) });
                control.begin(frames.length, objects);
                const done = await trackAll({ tracker, objects, frame, frames, image, tolerance: settings.tolerance, control });
                if (!done.length) return control.nothing();
                const result = assemble({ objects, frame, done, lastFrame: job.stopFrame, now: await job.annotations.export() });
                const partial = done.length < frames.length;
                this.mustRedraw = partial && control instanceof ModalControl;
                control.finish({ ...summarize({ objects, done }), partial });
                return result;
            }
        };
    }

    const explained = (promise) => promise.catch((error) => { throw new Sentence(explain(error)); });

    async function framesOf(core, job, frame, target) {
        const [numbers, meta] = await explained(Promise.all([job.frames.frameNumbers(), core.frames.getMeta('job', job.id)]));
        const deleted = meta.deletedFrames ?? {};
        return { frames: framesBetween(numbers, deleted, frame, target), deleted: Boolean(deleted[frame]), numbers, allDeleted: deleted };
    }

    function refusal(objects, frames, frame) {
        if (!objects.length) return `There is no mask or polygon to track on frame ${frame}. Draw the objects first.`;
        return frames.length ? null : 'There is no frame to track to. Choose another target frame of this job.';
    }

    /** Progress and cancel in CVAT's own window, which knows only "cancel": the setting says what becomes of the rest. */
    class ModalControl {
        constructor(page, { onProgress, cancelled, job, settings }) {
            Object.assign(this, { page, onProgress, job, keep: settings.keep });
            this.ended = new Promise((resolve) => {
                this.timer = setInterval(() => {
                    if (!page.isOpen(job)) resolve('discard');
                    else if (cancelled()) resolve(settings.keep ? 'keep' : 'discard');
                }, 200);
            });
        }

        begin(total, objects) {
            Object.assign(this, { total, objects });
        }

        progress(done, frame) {
            this.onProgress(`Frame ${frame}: ${done} of ${this.total} frames done`, Math.floor((done / this.total) * 100));
        }

        async settled() {}

        async failed(text, done) {
            if (!done || !this.keep) throw new Sentence(text);
            this.reason = text;
            return 'keep';
        }

        nothing() {
            return { created: emptyCollection(), deleted: emptyCollection() };
        }

        finish(summary) {
            this.page.report(this.job, { ...summary, reason: this.reason });
        }

        close() {
            clearInterval(this.timer);
        }
    }

    const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

    /* ---------------------------------------------------------------- page: elements */

    /** A DOM element. Text is always a text node: names of labels come from people. */
    function h(tag, attributes = {}, ...children) {
        const element = document.createElement(tag);
        Object.entries(attributes).forEach(([key, value]) => {
            if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
            else if (value === true) element.setAttribute(key, '');
            else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
        });
        element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
        return element;
    }

    function button(text, onclick, { primary = false, danger = false, ...attributes } = {}) {
        const kind = `${primary ? ' agss-vos-primary' : ''}${danger ? ' agss-vos-danger' : ''}`;
        return h('button', { type: 'button', class: `agss-vos-button${kind}`, onclick, ...attributes }, text);
    }

    /** The button's picture: a shape, followed. */
    function icon() {
        const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        Object.entries({
            viewBox: '2 2 20 19', width: '22', height: '21', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.6',
            'stroke-linejoin': 'round', 'stroke-linecap': 'round', 'aria-hidden': 'true',
        }).forEach(([key, value]) => svg.setAttribute(key, value));
        ['M3 6.5 7 4l4 2.5v5L7 14l-4-2.5z', 'M13 12.5 17 10l4 2.5v5L17 20l-4-2.5z', 'M14.5 4.5h5m-2-2 2 2-2 2'].forEach((d) => {
            const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
            path.setAttribute('d', d);
            svg.append(path);
        });
        return svg;
    }

    /* ---------------------------------------------------------------- page: dialog */

    /**
     * The one window of this script, with four faces: the form, progress, a question, an error. It is modal, as CVAT's
     * own window for actions is: nobody edits what is being tracked, and CVAT's shortcuts do not see the keys.
     */
    class Panel {
        constructor() {
            this.title = h('h2', { id: 'agss-vos-title', class: 'agss-vos-title' }, NAME);
            this.face = h('div', { class: 'agss-vos-face' });
            this.dialog = h('dialog', { class: 'agss-vos-dialog', 'aria-labelledby': 'agss-vos-title', tabindex: -1 }, this.title, this.face);
            this.dialog.addEventListener('cancel', (event) => {
                event.preventDefault();
                this.escape?.();
            });
            this.keys = (event) => {
                if (event.type === 'keydown' && event.key === 'Escape') {
                    event.preventDefault();
                    this.escape?.();
                }
                if (!this.dialog.contains(event.target)) event.preventDefault();
                if (!this.dialog.contains(event.target) || event.key === 'Escape') event.stopImmediatePropagation();
            };
            this.inside = (event) => event.stopPropagation();
        }

        open() {
            this.before = document.activeElement;
            document.body.append(this.dialog);
            ['keydown', 'keyup', 'keypress'].forEach((type) => {
                window.addEventListener(type, this.keys, true);
                this.dialog.addEventListener(type, this.inside);
            });
            this.dialog.showModal();
        }

        close() {
            this.escape = null;
            ['keydown', 'keyup', 'keypress'].forEach((type) => window.removeEventListener(type, this.keys, true));
            this.dialog.close();
            this.dialog.remove();
            if (this.before?.isConnected) this.before.focus();
        }

        show(title, content, escape) {
            this.escape = escape;
            this.title.textContent = title;
            this.face.replaceChildren(...[content].flat());
            (this.face.querySelector('[data-focus]') ?? this.face.querySelector('button, input, select') ?? this.dialog).focus();
        }

        /** Asks; resolves to the value of the button pressed. `answers`: [[value, text, look]]; the last is the calm one. */
        ask(title, lines, answers, escape) {
            return new Promise((resolve) => {
                const buttons = answers.map(([value, text, look]) => button(text, () => resolve(value), look));
                const text = [lines].flat().map((line) => h('p', {}, line));
                this.show(title, [h('div', { role: 'alert' }, text), h('div', { class: 'agss-vos-buttons' }, buttons)],
                    escape && (() => resolve(escape)));
            });
        }
    }

    const fieldOf = (label, input, hint) => h('div', { class: 'agss-vos-field' }, h('label', { for: input.id }, label), h('div', {}, input, hint));

    function selectOf(id, options, value) {
        const select = h('select', { id, class: 'agss-vos-input' }, Object.entries(options).map(([key, text]) => h('option', { value: key }, text)));
        select.value = value;
        return select;
    }

    const OUTPUT_HINTS = {
        drawn: 'Masks stay masks, one per frame. Polygons become polygon tracks.',
        mask: 'One mask per frame; the masks of an object share a group.',
        track: 'One track per object, with keyframes only where the tolerance needs them. Holes and smaller separate parts are left out.',
    };

    /** The form. Resolves to the settings and `only` (a clientID or null), or to null. */
    function askSettings(panel, facts, settings) {
        return new Promise((resolve) => {
            const { job, frame, shapes, selected, trackers, between } = facts;
            const target = h('input', {
                id: 'agss-vos-target', class: 'agss-vos-input agss-vos-number', type: 'number', min: job.startFrame, max: job.stopFrame, step: 1,
                required: true, 'aria-describedby': 'agss-vos-frames', 'data-focus': true,
            });
            target.value = targetOf(settings.reach, frame, job);
            const frames = h('p', { id: 'agss-vos-frames', class: 'agss-vos-hint', 'aria-live': 'polite' });
            const output = selectOf('agss-vos-output', OUTPUTS, settings.output);
            const outputHint = h('p', { class: 'agss-vos-hint' });
            const tolerance = h('input', {
                id: 'agss-vos-tolerance', class: 'agss-vos-input agss-vos-number', type: 'number', min: 0.5, max: 20, step: 0.5, required: true,
                'aria-describedby': 'agss-vos-tolerance-hint',
            });
            tolerance.value = settings.tolerance;
            const toleranceField = fieldOf('Tolerance', tolerance, h('p', { id: 'agss-vos-tolerance-hint', class: 'agss-vos-hint' },
                'Pixels a track may leave the outline; more gives fewer keyframes.'));
            const names = Object.fromEntries(trackers.map((tracker) => [tracker.id, tracker.name || tracker.id]));
            const model = selectOf('agss-vos-model', names, names[settings.model] ? settings.model : trackers[0].id);
            const scope = selected && scopeField(shapes, selected);
            const submit = h('button', { type: 'submit', class: 'agss-vos-button agss-vos-primary' }, 'Track');
            const jump = (text, to) => button(text, () => { target.value = to; update(); }, { 'aria-label': `${text}: frame ${to}`, disabled: to === frame });
            const update = () => {
                const list = between(target.valueAsNumber);
                frames.textContent = describeFrames(frame, list, job);
                submit.disabled = !list.numbers.length;
                outputHint.textContent = OUTPUT_HINTS[output.value];
                const tracks = output.value === 'track' || (output.value === 'drawn' && shapes.some((shape) => shape.type !== 'mask'));
                toleranceField.hidden = !tracks;
                tolerance.disabled = !tracks;
            };
            const form = h('form', {
                oninput: update,
                onsubmit: (event) => {
                    event.preventDefault();
                    resolve({
                        target: Number(target.value), output: output.value, tolerance: Number(tolerance.value), keep: settings.keep,
                        model: model.value, only: scope?.querySelector('input:checked').value === 'one' ? selected.clientID : null,
                    });
                },
            },
            scope || h('p', { class: 'agss-vos-lead' }, `${countShapes(shapes)} on frame ${frame}.`, facts.note && h('span', { class: 'agss-vos-hint' }, ` ${facts.note}`)),
            fieldOf('To frame', target, [
                h('span', { class: 'agss-vos-jumps' }, jump('Job start', job.startFrame), jump('Job end', job.stopFrame)), frames,
            ]),
            fieldOf('Result', output, outputHint),
            toleranceField,
            trackers.length > 1 && fieldOf('Tracker', model),
            h('div', { class: 'agss-vos-buttons' }, button('Cancel', () => resolve(null)), submit));
            update();
            panel.show(NAME, form, () => resolve(null));
            target.select();
        });
    }

    function scopeField(shapes, selected) {
        const choice = (value, text, checked) => h('label', { class: 'agss-vos-choice' },
            h('input', { type: 'radio', name: 'agss-vos-scope', value, checked }), h('span', {}, text));
        return h('fieldset', { class: 'agss-vos-field' }, h('legend', {}, 'Objects'), h('div', {},
            choice('all', `All on this frame: ${countShapes(shapes)}`, true), choice('one', `Only the selected one: ${selected.name}`, false)));
    }

    function countShapes(shapes) {
        const kinds = { mask: 'mask', polygon: 'polygon', track: 'polygon track' };
        const parts = Object.keys(kinds).map((kind) => [shapes.filter(({ type }) => type === kind).length, kinds[kind]]);
        return parts.filter(([number]) => number).map(([number, noun]) => count(number, noun)).join(', ');
    }

    function describeFrames(frame, { numbers, deleted, target, inside }, { startFrame, stopFrame }) {
        if (!inside) return `Choose a frame of this job, ${startFrame} to ${stopFrame}.`;
        if (target === frame) return 'This is the current frame. Choose another one.';
        if (!numbers.length) return 'All frames up to there are deleted.';
        const left = deleted ? ` ${count(deleted, 'deleted frame')} left out.` : '';
        return `${target > frame ? 'Forward' : 'Backward'} over ${count(numbers.length, 'frame')}.${left}`;
    }

    /* ---------------------------------------------------------------- page: progress */

    function duration(seconds) {
        if (seconds < 5) return 'a few seconds';
        if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} seconds`;
        const minutes = Math.round(seconds / 60);
        return count(minutes || 1, 'minute');
    }

    /** Progress, questions and the end of a run that was started from the dialog. */
    class DialogControl {
        constructor(page, panel, job) {
            Object.assign(this, { page, panel });
            this.ended = new Promise((resolve) => { this.end = resolve; });
            this.timer = setInterval(() => {
                if (page.isOpen(job)) return;
                this.left = true;
                this.end('discard');
            }, 300);
            this.warn = (event) => event.preventDefault();
            window.addEventListener('beforeunload', this.warn);
            this.done = 0;
        }

        begin(total, objects) {
            Object.assign(this, { total, objects });
            this.started = null;
            this.bar = h('progress', { class: 'agss-vos-bar', max: total, 'aria-label': 'Frames done' });
            this.where = h('p', { 'aria-live': 'off' });
            this.rest = h('p', { class: 'agss-vos-hint' });
            this.view();
        }

        view() {
            const stop = button('Stop', () => this.stop());
            this.panel.show(`Tracking ${count(this.objects.length, 'object')}`,
                [this.where, this.bar, this.rest, h('div', { class: 'agss-vos-buttons' }, stop)], () => this.stop());
        }

        progress(done, frame) {
            this.done = done;
            if (!this.started && done) this.started = { at: performance.now(), done };
            this.where.textContent = `Frame ${frame}, ${done} of ${this.total} done`;
            if (done) this.bar.value = done;
            this.rest.textContent = [this.remaining(done), this.lostNow()].filter(Boolean).join(' ');
        }

        remaining(done) {
            if (!this.started || done <= this.started.done) return 'The tracker is starting; the first frame takes longer.';
            const perFrame = (performance.now() - this.started.at) / 1000 / (done - this.started.done);
            return `About ${duration(perFrame * (this.total - done))} left.`;
        }

        lostNow() {
            const last = this.done && this.objects.filter((object) => object.lost.length);
            return last && last.length ? `Lost on some frames: ${last.map((object) => object.name).join(', ')}.` : '';
        }

        answers(goOn) {
            const keep = this.done > 0 && ['keep', `Keep ${count(this.done, 'frame')}`, { primary: true, 'data-focus': true }];
            const look = keep ? {} : { primary: true, 'data-focus': true };
            return [['discard', keep ? 'Discard' : 'End', { danger: Boolean(keep) }], [...goOn, look], keep].filter(Boolean);
        }

        /** Stop asks first: minutes of tracking are not lost to one key. Tracking pauses meanwhile. */
        stop() {
            const lines = this.done ? `${this.done} of ${this.total} frames are done.` : 'No frame is done yet.';
            this.question = this.panel.ask('Stop tracking?', lines, this.answers(['on', 'Continue']), 'on').then((answer) => {
                this.question = null;
                if (answer !== 'on') this.end(answer);
                else this.view();
                return answer === 'on' ? undefined : answer;
            });
        }

        async settled() {
            return this.question ?? undefined;
        }

        async failed(text, done) {
            const lines = done ? [text, `${done} of ${this.total} frames are done.`] : text;
            // Finished frames are not thrown away, and nothing is sent again, by a stray key.
            const asked = this.panel.ask('Tracking stopped', lines, this.answers(['again', 'Try again']), done ? null : 'discard');
            const answer = await Promise.race([asked, this.ended]);
            if (answer === 'again') this.view();
            else if (answer === 'keep') this.reason = text;
            return answer;
        }

        nothing() {
            throw this.left ? new Sentence('Tracking stopped because the job was closed. Nothing was added.') : new Discarded();
        }

        finish(summary) {
            this.summary = { ...summary, reason: this.reason };
        }

        close() {
            clearInterval(this.timer);
            window.removeEventListener('beforeunload', this.warn);
        }
    }

    /* ---------------------------------------------------------------- page: notices */

    class Notices {
        constructor() {
            this.list = h('div', { class: 'agss-vos-notices', role: 'region', 'aria-label': `${NAME}: messages` });
            document.body.append(this.list);
        }

        /** `lines`: text, or [text, button, ...]. Stays until closed unless `seconds` is given. */
        show({ kind, title, lines = [], seconds = 0 }) {
            const notice = h('div', { class: `agss-vos-notice agss-vos-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
                h('div', { class: 'agss-vos-notice-title' }, title),
                lines.map((line) => h('p', {}, line)),
                button('×', () => notice.remove(), { class: 'agss-vos-close', 'aria-label': 'Close this message' }));
            this.list.append(notice);
            while (this.list.children.length > 4) this.list.firstChild.remove();
            if (seconds) setTimeout(() => notice.matches(':hover, :focus-within') || notice.remove(), seconds * 1000);
        }
    }

    /** Frames as people write them: 3, 7-12, 20. */
    function spans(frames, shown = 4) {
        const parts = [];
        frames.forEach((frame) => {
            const last = parts[parts.length - 1];
            if (last && last[1] === frame - 1) last[1] = frame;
            else parts.push([frame, frame]);
        });
        const text = parts.slice(0, shown).map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(', ');
        return parts.length > shown ? `${text} and more` : text;
    }

    /* ---------------------------------------------------------------- page: everything together */

    /** What the parts above need to know of CVAT's page, and the buttons on it. */
    class Page {
        constructor({ core, store, dispatch, actionCreators }) {
            Object.assign(this, { core, store, dispatch, actionCreators, trackers: [], running: false });
            this.notices = new Notices();
        }

        get annotation() {
            return this.store.getState().annotation ?? {};
        }

        isOpen(job) {
            return this.annotation.job?.instance?.id === job.id;
        }

        redraw() {
            const frame = this.annotation.player?.frame?.number;
            if (Number.isInteger(frame)) this.dispatch(this.actionCreators.changeFrameAsync(frame, false, 1, true));
        }

        goTo(job, frame) {
            if (this.isOpen(job)) this.dispatch(this.actionCreators.changeFrameAsync(frame));
        }

        notify({ kind, title, text }) {
            this.notices.show({ kind, title, lines: text ? [text] : [], seconds: kind === 'info' ? 8 : 0 });
        }

        report(job, { objects, frames, last, lost, regrouped, reason, partial }) {
            const lines = [
                reason,
                ...lost.slice(0, 5).map((object) => [
                    `${object.name}: lost on frame${object.frames.length === 1 ? '' : 's'} ${spans(object.frames)} `,
                    button('Look', () => this.goTo(job, object.frames[0]), { class: 'agss-vos-link', 'aria-label': `Go to frame ${object.frames[0]}` }),
                ]),
                lost.length > 5 && `${count(lost.length - 5, 'more object')} lost on some frames.`,
                regrouped && `${count(regrouped, 'object')} shared a group with another of the same label and got a new one.`,
                'Undo takes all of it back; save to keep it.',
            ].filter(Boolean);
            const calm = !lost.length && !reason;
            const until = partial ? `, up to frame ${last}` : '';
            this.notices.show({
                kind: calm ? 'success' : 'warning', title: `Tracked ${count(objects, 'object')} over ${count(frames, 'frame')}${until}`, lines, seconds: calm ? 10 : 0,
            });
        }

        /** Everything the button does. Never throws: what goes wrong becomes a sentence. */
        async track() {
            if (this.panel || this.running) return;
            const job = this.annotation.job?.instance;
            if (!job) return;
            this.panel = new Panel();
            this.panel.open();
            try {
                await this.trackWith(this.panel, job);
            } catch (error) {
                if (!(error instanceof Discarded)) await this.explainIn(this.panel, job, error);
            } finally {
                this.panel.close();
                this.panel = null;
            }
        }

        async trackWith(panel, job) {
            const { frame: { number: frame } } = this.annotation.player;
            const cancelled = new Promise((resolve) => {
                const cancel = () => resolve(null);
                panel.show(NAME, [h('p', {}, 'Reading this frame…'), h('div', { class: 'agss-vos-buttons' }, button('Cancel', cancel))], cancel);
            });
            const facts = await Promise.race([this.facts(job, frame), cancelled]);
            if (!facts) return;
            const chosen = await askSettings(panel, facts, loadSettings());
            if (!chosen) return;
            panel.show(NAME, h('p', {}, 'Starting…'), null);
            const { only, ...settings } = chosen;
            let control = null;
            const action = new this.Action({ only, control: () => { control = new DialogControl(this, panel, job); return control; } });
            const filters = this.annotation.annotations?.filters ?? [];
            await this.core.actions.run(job, action, toParameters(action.parameters, settings), frame, frame, filters, () => {}, () => false);
            if (!control?.summary) return;
            this.redraw();
            this.report(job, control.summary);
        }

        /** What the form shows: the objects of the frame, the trackers, the frames. */
        async facts(job, frame) {
            const [all, listed, { numbers, allDeleted, deleted }] = await Promise.all([
                job.annotations.export(), this.listTrackers(), framesOf(this.core, job, frame, frame),
            ]);
            if (deleted) throw new Sentence(`Frame ${frame} is deleted. Restore it, or start from another frame.`);
            const { shapes, tracks } = trackable(all, frame);
            const found = [...shapes, ...tracks.map((track) => ({ ...track, type: 'track' }))];
            chooseTracker(listed);
            const without = all.tracks.filter((track) => track.shapes.some(({ type }) => type === 'polygon')).length - tracks.length;
            if (!found.length) {
                const hint = without > 0 ? ' Polygon tracks need a keyframe on this frame.' : '';
                throw new Sentence(`There is no mask or polygon on frame ${frame}. Draw the objects first, then track them.${hint}`);
            }
            const active = found.find(({ clientID }) => clientID === this.annotation.annotations?.activatedStateID);
            const between = (target) => {
                const inside = Number.isInteger(target) && target >= job.startFrame && target <= job.stopFrame;
                const every = inside ? framesBetween(numbers, {}, frame, target) : [];
                const present = every.filter((number) => !allDeleted[number]);
                return { target, inside, numbers: present, deleted: every.length - present.length };
            };
            return {
                job, frame, shapes: found, trackers: listed, between,
                selected: active && found.length > 1 && { clientID: active.clientID, name: this.nameOf(job, active) },
                note: this.annotation.annotations?.filters?.length ? 'Those that your filter hides are left out.' : '',
            };
        }

        nameOf(job, object) {
            const label = job.labels.find(({ id }) => id === object.label_id)?.name ?? 'object';
            return object.group ? `${label} (group ${object.group})` : label;
        }

        async listTrackers() {
            this.trackers = await explained(listTrackers(this.core));
            return this.trackers;
        }

        /** An error as a sentence: in the window while its job is open, as a notice after that. */
        async explainIn(panel, job, error) {
            const text = error instanceof Sentence ? error.message : `Tracking could not be finished, and nothing was added: ${error?.message ?? error}`;
            if (!(error instanceof Sentence)) console.error(error);
            if (!this.isOpen(job)) this.notify({ kind: 'warning', title: NAME, text });
            else await panel.ask(NAME, text, [['close', 'Close', { primary: true }]], 'close');
        }

        /* Buttons. Class names of CVAT are no promise, so everything here may be missing. */

        addMenuItem() {
            const item = () => ({ key: 'agss-vos-track-all', label: NAME, onClick: () => this.track() });
            const before = this.store.getState();
            const action = this.actionCreators.addUIComponent('annotationPage.menuActions.items', item, { weight: 41 });
            if (action && this.store.getState() === before) this.dispatch(action);
        }

        addHeaderButton() {
            this.header = h('button', {
                type: 'button', class: 'ant-btn ant-btn-link cvat-annotation-header-button agss-vos-header', title: `${NAME} of this frame`,
                onclick: () => this.track(),
            }, icon(), h('span', {}, 'Track all'));
            let waiting = false;
            const place = () => {
                waiting = false;
                const group = document.querySelector('.cvat-annotation-header-left-group');
                if (!group || this.header.parentElement === group) return;
                group.append(this.header);
                // Known early, so that "Run actions" can offer the choice.
                this.listTrackers().catch(() => {});
            };
            this.observer = new MutationObserver(() => {
                if (waiting || this.header.isConnected) return;
                waiting = true;
                this.placing = requestAnimationFrame(place);
            });
            this.observer.observe(document.body, { childList: true, subtree: true });
            place();
        }

        remove() {
            this.observer?.disconnect();
            cancelAnimationFrame(this.placing);
            this.header?.remove();
            this.notices.list.remove();
        }
    }

    /* ---------------------------------------------------------------- page: looks */

    // Close to CVAT's own windows; the blue is the one of them that is dark enough for small text.
    const STYLE = `
        .agss-vos-dialog { width: 500px; max-width: calc(100vw - 32px); margin: 72px auto auto; padding: 20px 24px; border: 0; border-radius: 8px; color: #1f1f1f;
            background: #fff; font: 14px/1.57 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
            box-shadow: 0 6px 16px rgb(0 0 0 / 8%), 0 3px 6px -4px rgb(0 0 0 / 12%), 0 9px 28px 8px rgb(0 0 0 / 5%); outline: 0; }
        .agss-vos-dialog::backdrop { background: rgb(0 0 0 / 30%); }
        .agss-vos-dialog p { margin: 0 0 8px; }
        .agss-vos-title { margin: 0 0 12px; font-size: 16px; font-weight: 600; line-height: 24px; color: inherit; }
        .agss-vos-lead { padding-bottom: 4px; }
        .agss-vos-field { display: grid; grid-template-columns: 92px 1fr; column-gap: 12px; margin: 0 0 10px; padding: 0; border: 0; }
        .agss-vos-field[hidden] { display: none; }
        .agss-vos-field > label, .agss-vos-field > legend { float: left; padding: 5px 0; margin: 0; width: auto; font-size: 14px; border: 0; color: inherit; }
        .agss-vos-choice { display: flex; gap: 8px; align-items: baseline; padding: 5px 0; cursor: pointer; overflow-wrap: anywhere; }
        .agss-vos-choice input { accent-color: #0958d9; }
        .agss-vos-input { height: 32px; padding: 4px 11px; border: 1px solid #d9d9d9; border-radius: 6px; color: inherit; background: #fff; font: inherit; box-sizing: border-box; max-width: 100%; }
        .agss-vos-input:hover { border-color: #4096ff; }
        .agss-vos-number { width: 96px; }
        select.agss-vos-input { min-width: 200px; }
        .agss-vos-jumps { display: inline-flex; gap: 8px; margin-left: 8px; }
        .agss-vos-dialog .agss-vos-hint { margin: 4px 0 0; color: #595959; font-size: 13px; }
        .agss-vos-buttons { display: flex; justify-content: flex-end; flex-wrap: wrap; gap: 8px; margin-top: 20px; }
        .agss-vos-button { height: 32px; padding: 4px 15px; border: 1px solid #d9d9d9; border-radius: 6px; background: #fff; color: #1f1f1f; font: inherit; line-height: 1.4; cursor: pointer; }
        .agss-vos-button:hover:enabled { border-color: #4096ff; color: #0958d9; }
        .agss-vos-primary, .agss-vos-primary:hover:enabled { border-color: #0958d9; background: #0958d9; color: #fff; }
        .agss-vos-primary:hover:enabled { background: #003eb3; }
        .agss-vos-danger, .agss-vos-danger:hover:enabled { color: #cf1322; }
        .agss-vos-danger:hover:enabled { border-color: #cf1322; }
        .agss-vos-button:disabled { background: #f5f5f5; border-color: #d9d9d9; color: #8c8c8c; cursor: not-allowed; }
        .agss-vos-dialog :focus-visible, .agss-vos-notices :focus-visible, .agss-vos-header:focus-visible { outline: 2px solid #0958d9; outline-offset: 2px; }
        .agss-vos-bar { display: block; width: 100%; height: 8px; margin: 4px 0 8px; border: 0; border-radius: 4px; overflow: hidden; appearance: none; background: #f0f0f0; accent-color: #0958d9; }
        .agss-vos-bar::-webkit-progress-bar { background: #f0f0f0; }
        .agss-vos-bar::-webkit-progress-value { background: #0958d9; border-radius: 4px; }
        .agss-vos-bar::-moz-progress-bar { background: #0958d9; border-radius: 4px; }
        .agss-vos-notices { position: fixed; top: 64px; right: 24px; z-index: 1050; display: flex; flex-direction: column; gap: 12px; width: 384px; max-width: calc(100vw - 48px);
            font: 14px/1.57 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; pointer-events: none; }
        .agss-vos-notice { position: relative; padding: 16px 40px 12px 20px; border-radius: 8px; border-left: 4px solid #0958d9; background: #fff; color: #1f1f1f; overflow-wrap: anywhere;
            box-shadow: 0 6px 16px rgb(0 0 0 / 8%), 0 3px 6px -4px rgb(0 0 0 / 12%), 0 9px 28px 8px rgb(0 0 0 / 5%); pointer-events: auto; }
        .agss-vos-success { border-left-color: #389e0d; }
        .agss-vos-warning { border-left-color: #d48806; }
        .agss-vos-error { border-left-color: #cf1322; }
        .agss-vos-notice p { margin: 4px 0 0; color: #434343; }
        .agss-vos-notice-title { font-weight: 600; }
        .agss-vos-close { position: absolute; top: 10px; right: 10px; width: 26px; height: 26px; border: 0; background: none; color: #595959; font-size: 18px; line-height: 1; cursor: pointer; }
        .agss-vos-link { padding: 0 2px; border: 0; background: none; color: #0958d9; font: inherit; text-decoration: underline; cursor: pointer; }
        .agss-vos-header { display: flex; flex-direction: column; align-items: center; justify-content: center; padding: 0 8px; height: auto; border: 0; background: none; color: #000; line-height: 1.4; cursor: pointer; }
        .agss-vos-header:hover { color: #0958d9; }
    `;

    /** As a constructed sheet, which a strict content security policy allows too. */
    function addStyle() {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(STYLE);
        document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    }

    /* ---------------------------------------------------------------- start */

    const OLD_CVAT = 'The button "Track all objects" needs a newer CVAT: version 2.40 or later, with its plugin interface.';

    /** Says once why there is no button, and only to people who annotate. */
    function sayUnsupported(reason) {
        console.warn(`agss-vos.js: ${reason}`);
        const look = setInterval(() => {
            if (!document.querySelector('.cvat-annotation-header-left-group')) return;
            clearInterval(look);
            new Notices().show({ kind: 'warning', title: NAME, lines: [reason] });
        }, 1000);
    }

    /** Parts that other versions of CVAT may lack fail alone. */
    async function optional(what, part) {
        try {
            await part();
        } catch (error) {
            console.warn(`agss-vos.js: ${what} could not be added: ${error?.message ?? error}`);
        }
    }

    function build(surface) {
        const plugin = { name: 'AGSS-VOS', destructor: () => {} };
        const { core } = surface;
        if (typeof core?.classes?.BaseCollectionAction !== 'function' || typeof core.actions?.run !== 'function' || typeof core.lambda?.call !== 'function') {
            sayUnsupported(OLD_CVAT);
            return plugin;
        }
        const page = new Page(surface);
        page.Action = actionClass(page);
        optional('The action in "Run actions"', () => core.actions.register(new page.Action()));
        optional('The menu item', () => page.addMenuItem());
        optional('The button in the header', () => page.addHeaderButton());
        return { ...plugin, destructor: () => page.remove() };
    }

    function start() {
        addStyle();
        const register = () => window.cvatUI.registerComponent(build);
        if (window.cvatUI) {
            register();
            return;
        }
        // CVAT announces its interface once its page stands; one that never does has none.
        const late = setTimeout(() => sayUnsupported(OLD_CVAT), 30000);
        addEventListener('plugins.ready', () => {
            clearTimeout(late);
            register();
        }, { once: true });
    }

    window.agssVos = Object.freeze({
        decodeMask, encodeMask, checkedMask, maskOfPolygon, outlineOf, simplify, matchRing, Keyframes, framesBetween, explain, spans,
    });
    start();
})();
