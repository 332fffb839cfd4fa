/** A candidate's process, as the parent sees it: one request, one reply. */

import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Reply, Request } from "./candidate.ts";

const PROGRAM = fileURLToPath(new URL("../candidate-process.ts", import.meta.url));

export class CandidateProcess {
  readonly name: string;
  private readonly process: ChildProcess;
  private waiting: ((reply: Reply) => void) | undefined;

  constructor(name: string, environment: NodeJS.ProcessEnv) {
    this.name = name;
    this.process = fork(PROGRAM, [name], {
      serialization: "advanced", stdio: ["ignore", "ignore", "inherit", "ipc"], env: environment,
    }); // prettier-ignore
    this.process.on("message", (reply: Reply) => this.settle(reply));
    this.process.on("exit", (code) => this.settle({ type: "failed", error: `its process ended with ${code}` }));
  }

  private settle(reply: Reply): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.(reply);
  }

  ask(request: Request): Promise<Reply> {
    return new Promise((resolve) => {
      this.waiting = resolve;
      this.process.send(request, (error) => {
        if (error) this.settle({ type: "failed", error: error.message });
      });
    });
  }

  stop(): void {
    this.process.kill();
  }
}
