// What only the browser can do: move a player, heed keys, and know which sample of an open group is looked at.
(() => {
  const { Operator, OperatorConfig, executeOperator, registerOperator, usePanelEvent } = window.__foo__;
  const PATIENCE = 120000; // milliseconds for a video that is still being opened, by a machine that is busy
  const INTERVAL = 150;

  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  // The values of FiftyOne's atoms while an operator runs, not those when it was registered.
  const useValue = () => window.recoil.useRecoilCallback(
    ({ snapshot }) => (atom) => snapshot.getLoadable(atom).valueMaybe(), []);

  // Moves the open video, or the open sequence of images, to a frame. FiftyOne's own `set_frame_number` reaches sequences that are
  // played as a video, but neither its video player nor sequences that are shown page by page, as they are at first.
  class GoToFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "go_to_frame", label: "Go to frame", unlisted: true });
    }

    useHooks() {
      const { modalLooker, modalSelector, dynamicGroupCurrentElementIndex: page, shouldRenderImaVidLooker } = window.__fos__;
      const value = useValue();
      // The number of the page alone would not change the image.
      const turn = window.recoil.useRecoilCallback(({ set }) => (number, sample) => {
        set(page, number);
        set(modalSelector, (open) => ({ ...open, id: sample }));
      }, []);
      const player = () => value(modalLooker);
      const video = {
        ready: () => player()?.seekToFrame && player().state?.loaded,
        at: () => player().frameNumber,
        go: (number) => player().seekToFrame(number),
      };
      const pages = (sample) => ({
        ready: () => player()?.state?.loaded,
        at: () => (value(modalSelector)?.id === sample ? value(page) : null),
        go: (number) => turn(number, sample),
      });
      return { shown: (sample) => (sample ? pages(sample) : video), played: () => value(shouldRenderImaVidLooker(true)) };
    }

    async execute({ params, hooks }) {
      // Opened from its own tab, the panel covers the player, which does not move unless it is seen.
      document.querySelector('[data-cy="panel-tab-fo-sample-modal-plugin"]')?.click();
      // The player of Annotate mode takes no frame from outside.
      document.querySelector('[data-cy="explore"]')?.click();
      const { frame_number: wanted, sample } = params; // of a sequence of images that of the frame
      const end = Date.now() + PATIENCE;
      // A video that has just been opened returns to its beginning once more, so one look is not enough.
      for (let held = 0; held < 4; await pause(INTERVAL)) {
        if (sample && hooks.played()) return executeOperator("set_frame_number", { frame_number: wanted });
        const shown = hooks.shown(sample);
        held = shown.ready() && shown.at() === wanted ? held + 1 : 0;
        if (held === 0 && shown.ready()) shown.go(wanted);
        if (Date.now() > end) throw new Error("Open a video to go to one of its frames.");
      }
    }
  }

  // FiftyOne tells Python the sample by which a group was opened, whichever of its samples is shown.
  const looked = window.__fos__.activeModalSidebarSample;

  class Step extends Operator {
    get config() {
      return new OperatorConfig({ name: "step", label: "Step to a doubtful place", unlisted: true });
    }

    useHooks() {
      return useValue();
    }

    execute({ params, hooks }) {
      return executeOperator("@agss/vos/step_to_doubt", { ...params, sample: hooks(looked)?._id });
    }
  }

  // Opens what is open anew, as it is in the database: Annotate mode would go on with the labels that it knew, write them once
  // more, and undo by their old places, which takes others away.
  class Reopen extends Operator {
    get config() {
      return new OperatorConfig({ name: "reopen", label: "Open again", unlisted: true });
    }

    useHooks() {
      return { value: useValue(), mode: window.__fos__.useModalMode() };
    }

    async execute({ hooks: { value, mode } }) {
      const { modalSelector } = window.__fos__;
      const open = value(modalSelector);
      if (!open) return;
      executeOperator("close_sample");
      for (const end = Date.now() + PATIENCE; value(modalSelector) && Date.now() < end;) await pause(INTERVAL);
      executeOperator("open_sample", { id: open.id, group_id: open.groupId, mode });
    }
  }

  // A part of the panel without anything to see: calls its `on_look` with the sample that is looked at.
  const Looked = ({ schema }) => {
    const sample = window.recoil.useRecoilValueLoadable(looked).valueMaybe()?._id ?? null;
    const panel = window.__fosp__.usePanelId();
    const tell = usePanelEvent();
    window.React.useEffect(() => {
      tell(panel, { operator: schema.view.on_look, params: { sample } });
    }, [sample]);
    return null;
  };

  registerOperator(GoToFrame, "@agss/vos");
  registerOperator(Step, "@agss/vos");
  registerOperator(Reopen, "@agss/vos");
  const type = window.__fop__.PluginComponentType.Component;
  window.__fop__.registerComponent({ name: "AgssLooked", label: "Looked", component: Looked, type, activator: () => true });

  // From one doubtful place to the next, while a video is open and nobody is writing.
  const steps = { "[": -1, "]": 1 };
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest?.("input, textarea, [contenteditable=true]");
    const open = document.querySelector('[data-cy="panel-tab-fo-sample-modal-plugin"], [data-cy="modal"]');
    if (!(event.key in steps) || writing || !open || event.ctrlKey || event.metaKey) return;
    executeOperator("@agss/vos/step", { step: steps[event.key] });
  });
})();
