"""AIPerf: a load by `aiperf profile`, and what its report says."""

import shutil
from pathlib import Path

from benchmarks.peers.peer import SHARES, Figures, Offered, Reported, program, read, run, tokenizer_in


def measured(load: Offered, folder: Path) -> Reported:
    """Runs it once. ITL is each request's mean, E2E ends with the last token. Raises: RuntimeError, subprocess.TimeoutExpired."""
    tokenizer = tokenizer_in(folder)
    out = folder / "aiperf"
    shutil.rmtree(out, ignore_errors=True)
    command = [
        str(program("aiperf")), "profile", "--model", load.model, "--url", load.url, "--endpoint-type", "completions", "--streaming",
        "--request-rate", f"{load.rate:g}", "--arrival-pattern", "constant", "--request-count", str(load.requests),
        "--tokenizer", tokenizer.name, "--prompt-input-tokens-mean", "16", "--prompt-output-tokens-mean", str(load.tokens),
        "--use-legacy-max-tokens", "--use-server-token-count", "--num-dataset-entries", "100",
        "--output-artifact-dir", str(out), "--ui", "none", "--no-gpu-telemetry", "--no-server-metrics", "--no-auto-plot",
    ]  # fmt: skip
    run(command, timeout_s=120 + 4 * load.requests / load.rate, env=tokenizer.env)
    told = read(out / "profile_export_aiperf.json")

    def of(name: str) -> Figures:
        return {share: told[name]["avg" if share == "mean" else share] for share in SHARES}

    return Reported(
        {"ttft": of("time_to_first_token"), "itl": of("inter_token_latency"), "e2e": of("request_latency")},
        requests=round(told["request_count"]["avg"]), tokens=round(told["output_sequence_length"]["sum"]),
    )  # fmt: skip
