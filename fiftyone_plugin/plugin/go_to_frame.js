// Moves the open video to a frame. FiftyOne's own `set_frame_number` reaches image sequences, but not its video player.
(() => {
  const { Operator, OperatorConfig, executeOperator, registerOperator } = window.__foo__;
  const PATIENCE = 120000; // milliseconds for a video that is still being opened, by a machine that is busy
  const INTERVAL = 150;

  const ready = (player) => player?.seekToFrame && player.state?.loaded;
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  class GoToFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "go_to_frame", label: "Go to frame", unlisted: true });
    }

    useHooks() {
      // The player that is open while the operator runs, not the one when it was registered.
      const player = window.recoil.useRecoilCallback(
        ({ snapshot }) => () => snapshot.getLoadable(window.__fos__.modalLooker).valueMaybe(), []);
      return { player };
    }

    async execute({ params, hooks }) {
      // Opened from its own tab, the panel covers the player, which does not move unless it is seen.
      document.querySelector('[data-cy="panel-tab-fo-sample-modal-plugin"]')?.click();
      // The player of Annotate mode takes no frame from outside.
      document.querySelector('[data-cy="explore"]')?.click();
      const end = Date.now() + PATIENCE;
      // A video that has just been opened returns to its beginning once more, so one look is not enough.
      for (let held = 0; held < 4; await pause(INTERVAL)) {
        const player = hooks.player();
        held = ready(player) && player.frameNumber === params.frame_number ? held + 1 : 0;
        if (held === 0 && ready(player)) player.seekToFrame(params.frame_number);
        if (Date.now() > end) throw new Error("Open a video to go to one of its frames.");
      }
    }
  }

  registerOperator(GoToFrame, "@agss/vos");

  // From one doubtful place to the next, while a video is open and nobody is writing.
  const steps = { "[": -1, "]": 1 };
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest?.("input, textarea, [contenteditable=true]");
    const open = document.querySelector('[data-cy="panel-tab-fo-sample-modal-plugin"], [data-cy="modal"]');
    if (!(event.key in steps) || writing || !open || event.ctrlKey || event.metaKey) return;
    executeOperator("@agss/vos/step_to_doubt", { step: steps[event.key] });
  });
})();
