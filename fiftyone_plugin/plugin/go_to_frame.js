// Moves the open video to a frame. FiftyOne's own `set_frame_number` reaches image sequences, but not its video player.
(() => {
  const { Operator, OperatorConfig, registerOperator } = window.__foo__;
  const PATIENCE = 15000; // milliseconds for a video that is still being opened

  const ready = (looker) => looker?.seekToFrame && looker.state?.loaded;
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  class GoToFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "go_to_frame", label: "Go to frame", unlisted: true });
    }

    useHooks() {
      // The player that is open when the operator runs, not the one when it was registered.
      const player = window.recoil.useRecoilCallback(
        ({ snapshot }) => () => snapshot.getLoadable(window.__fos__.modalLooker).valueMaybe(), []);
      return { player };
    }

    async execute({ params, hooks }) {
      const end = Date.now() + PATIENCE;
      while (!ready(hooks.player()) && Date.now() < end) await pause(100);
      const player = hooks.player();
      if (!ready(player)) throw new Error("Open a video to go to one of its frames.");
      player.pause?.();
      player.seekToFrame(params.frame_number);
    }
  }

  registerOperator(GoToFrame, "@agss/vos");
})();
