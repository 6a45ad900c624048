/* Keyframes on the current frame, for tracks that are shown there without one. */
import { inOrder } from './authorship.js';
import { keyframeAt } from './identity.js';

/** Points of the tracks that CVAT shows in a frame, by clientID, as its own client interpolates them. */
export async function shownPoints(job, frame) {
    const states = await job.annotations.get(frame, false, []);
    const shown = states.filter(({ objectType, outside }) => objectType === 'track' && !outside);
    return new Map(shown.map(({ clientID, points }) => [clientID, [...points]]));
}

/** A track with one more keyframe, like the one before it but for its points and other changes. */
export function withKeyframe(track, frame, changes) {
    const { id, ...before } = inOrder(track).filter((shape) => shape.frame <= frame).pop();
    const rest = track.shapes.filter((shape) => shape.frame !== frame);
    return { ...track, shapes: inOrder({ shapes: [...rest, { ...before, frame, ...changes }] }) };
}

/** Tracks with a keyframe on the frame, made of what CVAT shows there where they have none; it counts as a person's. */
export async function withKeyframes(job, tracks, frame) {
    if (tracks.every((track) => keyframeAt(track, frame))) return tracks;
    const shown = await shownPoints(job, frame);
    return tracks.filter((track) => keyframeAt(track, frame) || shown.has(track.clientID)).map((track) => {
        if (keyframeAt(track, frame)) return track;
        return withKeyframe(track, frame, { points: shown.get(track.clientID), outside: false });
    });
}
