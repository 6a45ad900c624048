/* The exact outlines of masks. */

/** Twice the signed area of a ring; positive when it runs clockwise on the screen. */
function signedArea(ring) {
    let [area, n] = [0, ring.length];
    for (let i = 0; i < n; i += 2) area += ring[i] * ring[(i + 3) % n] - ring[(i + 2) % n] * ring[i + 1];
    return area;
}

/** The exact outline, clockwise along pixel borders, of the largest connected part of a box; holes are left out. */
export function ringOf({ left, top, width, height, data }) {
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
