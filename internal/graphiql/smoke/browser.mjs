// The browser in which the page is tried.
import { chromium } from 'playwright-core';

/** Opens a headless Chromium on the folder of a profile, with nothing of its own that would reach for the network. */
export async function launch(profile, executablePath, milliseconds) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width: 1360, height: 820 },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  context.setDefaultTimeout(milliseconds);
  return context;
}
