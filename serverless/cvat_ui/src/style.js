/* Looks. */

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
    .agss-vos-aside { margin-right: auto; }
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
    .agss-vos-notices { position: fixed; bottom: 24px; right: 24px; z-index: 2100; display: flex; flex-direction: column; gap: 12px; width: 384px; max-width: calc(100vw - 48px);
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
export function addStyle() {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}
