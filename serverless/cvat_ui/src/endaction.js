/* The action that ends objects; CVAT commits what it returns, as one step that can be undone. */
import { framesOf } from './action.js';
import { namesOf } from './authorship.js';
import { endAll, endable } from './ending.js';
import { END } from './settings.js';

/** The class needs CVAT's base class, so it is made when the page hands that over. */
export function endActionClass({ core }) {
    return class EndObjects extends core.classes.BaseCollectionAction {
        /** `clientIDs`: of what is ended on the frame. */
        constructor(clientIDs) {
            super();
            this.clientIDs = new Set(clientIDs);
        }

        get name() {
            return END;
        }

        get parameters() {
            return {};
        }

        async init(job) {
            this.job = job;
        }

        async destroy() {}

        isApplicableForObject() {
            return false;
        }

        applyFilter({ collection, frameData }) {
            const chosen = endable(collection, frameData.number).filter(({ clientID }) => this.clientIDs.has(clientID));
            return { shapes: chosen.filter((item) => !item.shapes), tracks: chosen.filter((item) => item.shapes), tags: [] };
        }

        /** `nexts` is then {item, next} of each: the frame on which a person drew it again. */
        async run({ collection, frameData: { number } }) {
            const { present } = await framesOf(core, this.job, number, number);
            const items = [...collection.shapes, ...collection.tracks];
            const { created, deleted, nexts } = await endAll(this.job, items, number, present, namesOf(this.job.labels));
            this.nexts = nexts;
            return { created, deleted };
        }
    };
}
