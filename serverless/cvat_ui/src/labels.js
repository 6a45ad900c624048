/* Label maps: one number for each pixel of a frame, 0 for background. */
import { decodeMask, encodeMask } from './masks.js';

/** Masks {number, points} laid over each other, the last ones on top. */
export function painted(masks, { width, height }) {
    const most = masks.reduce((a, { number }) => Math.max(a, number), 0);
    const labels = new (most > 255 ? Uint16Array : Uint8Array)(width * height);
    masks.forEach(({ number, points }) => {
        const box = decodeMask(points);
        for (let y = Math.max(0, -box.top); y < box.height && box.top + y < height; y += 1) {
            for (let x = Math.max(0, -box.left); x < box.width && box.left + x < width; x += 1) {
                if (box.data[y * box.width + x]) labels[(box.top + y) * width + box.left + x] = number;
            }
        }
    });
    return labels;
}

/** The mask points of each of these numbers, null for one without a pixel. */
export function maskPoints(labels, numbers, { width }) {
    const boxes = new Map(numbers.map((number) => [number, [Infinity, Infinity, -1, -1]]));
    for (let at = 0; at < labels.length; at += 1) {
        const box = labels[at] ? boxes.get(labels[at]) : undefined;
        if (!box) continue;
        const [x, y] = [at % width, Math.floor(at / width)];
        if (x < box[0]) box[0] = x;
        if (y < box[1]) box[1] = y;
        if (x > box[2]) box[2] = x;
        if (y > box[3]) box[3] = y;
    }
    return new Map([...boxes].map(([number, [left, top, right, bottom]]) => {
        if (right < 0) return [number, null];
        const [wide, high] = [right - left + 1, bottom - top + 1];
        const data = new Uint8Array(wide * high);
        for (let y = 0; y < high; y += 1) {
            for (let x = 0; x < wide; x += 1) data[y * wide + x] = Number(labels[(top + y) * width + left + x] === number);
        }
        return [number, encodeMask({ left, top, width: wide, height: high, data })];
    }));
}
