// The program as it ships, with the demo's account in which nobody acts, and a proxy before it that breaks connections.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** The demo on a folder of its own: it can be killed and started again on what it has stored. */
export class Server {
  private constructor(private readonly folder: string, private readonly program: string) {}
  private process: ChildProcess | undefined;
  /** Where it serves now; a start has a port of its own. */
  port = 0;

  /** Starts CLIENTELE_PROGRAM, or what the repository builds to. */
  static async start(): Promise<Server> {
    const folder = await mkdtemp(path.join(tmpdir(), 'clientele-example-'));
    let program = process.env.CLIENTELE_PROGRAM;
    if (!program) {
      program = path.join(folder, 'clientele');
      const built = spawnSync('go', ['build', '-o', program, './cmd/clientele'], { cwd: '../..', encoding: 'utf8' });
      if (built.status !== 0) throw new Error(`build the program: ${built.stderr}`);
    }
    const server = new Server(folder, program);
    await server.begin();
    return server;
  }

  async begin(): Promise<void> {
    const child = spawn(this.program, ['demo', '--quiet', '--customers=1', '--addr=127.0.0.1:0', '--data', path.join(this.folder, 'data')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.process = child;
    process.once('exit', () => child.kill('SIGKILL'));
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /^ready http:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1];
      if (port) {
        this.port = Number(port);
        child.stdout.resume();
        return;
      }
    }
    throw new Error('the program ended before it served');
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Kills it, does what an operator does to a database that came back from a backup, and starts it: cursors from before are no good any more. */
  async restore(): Promise<void> {
    await this.kill();
    const done = spawnSync(this.program, ['restored', '--data', path.join(this.folder, 'data')], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`restored: ${done.stderr}`);
    await this.begin();
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/graphql`;
  }

  /** The token of one who acts in the demo. */
  async token(name: string): Promise<string> {
    return (await readFile(this.tokenFile(name), 'utf8')).trim();
  }

  tokenFile(name: string): string {
    return path.join(this.folder, 'data', 'tokens', `${name}.jwt`);
  }
}

/** main.ts as `npm start` runs it, with its cursor in a file beside the token, which the next start finds. */
export class App {
  private constructor(private readonly process: ChildProcess) {}
  /** What it has printed. */
  readonly lines: string[] = [];
  private told: () => void = () => undefined;

  /** Starts it; with a cursor, which is then in the file. It asks the server itself, or at the address before it that is given. */
  static async start(server: Server, name: string, cursor?: string, url = server.url): Promise<App> {
    const tokenFile = server.tokenFile(name);
    const cursorFile = `${tokenFile}.cursor`;
    if (cursor) await writeFile(cursorFile, cursor);
    const child = spawn(process.execPath, ['build/src/main.js'], {
      env: { ...process.env, CLIENTELE_URL: new URL(url).origin, CLIENTELE_TOKEN_FILE: tokenFile, CLIENTELE_CURSOR: cursorFile },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const app = new App(child);
    createInterface({ input: child.stdout }).on('line', (line) => {
      app.lines.push(line);
      app.told();
    });
    child.once('exit', () => app.told());
    return app;
  }

  /** Waits for a line. */
  async shows(wanted: (line: string) => boolean): Promise<void> {
    while (!this.lines.some(wanted)) {
      if (this.process.exitCode !== null) throw new Error(`the app ended by ${this.process.exitCode}, having shown: ${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => (this.told = resolve));
    }
  }

  /** Ends it as a terminal does; answers its code. */
  async stop(): Promise<number | null> {
    const gone = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const [code] = (await gone) as [number | null];
    return code;
  }
}

/** A proxy at an address that stays, whatever becomes of the server behind it. */
export class Proxy {
  private constructor(private readonly listener: net.Server) {}
  private readonly sockets = new Set<net.Socket>();
  /** How many connections were cut. */
  cuts = 0;
  /** After so many more bytes to clients the connection that carries the last of them is cut; never when it is infinite. */
  left = Infinity;

  static async before(port: () => number): Promise<Proxy> {
    const listener = net.createServer();
    const proxy = new Proxy(listener);
    listener.on('connection', (client) => proxy.join(client, net.connect(port(), '127.0.0.1')));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.listener.address() as net.AddressInfo).port}/graphql`;
  }

  private join(client: net.Socket, server: net.Socket): void {
    for (const [one, other] of [[client, server], [server, client]] as const) {
      this.sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(server);
    server.on('data', (bytes) => {
      if (bytes.length < this.left) {
        this.left -= bytes.length;
        client.write(bytes);
        return;
      }
      // A part of what the server wrote arrives, which may end in the middle of an event.
      const part = bytes.subarray(0, this.left);
      this.left = Infinity;
      this.cuts++;
      client.end(part, () => client.destroy());
      server.destroy();
    });
  }

  async end(): Promise<void> {
    this.listener.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
