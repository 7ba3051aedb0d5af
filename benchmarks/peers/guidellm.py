"""GuideLLM: a load by `guidellm run`, and what its report says."""

from pathlib import Path

from benchmarks.peers.peer import SHARES, Figures, Offered, Reported, program, read, run, tokenizer_in


def measured(load: Offered, folder: Path) -> Reported:
    """Runs it once. ITL is each request's mean, E2E ends with the stream. Raises: RuntimeError, subprocess.TimeoutExpired."""
    tokenizer = tokenizer_in(folder)
    report = folder / "guidellm.json"
    report.unlink(missing_ok=True)
    command = [
        str(program("guidellm")), "run", "--disable-console",
        "--backend", f"kind=openai_http,target={load.url},model={load.model},request_format=/v1/completions",
        "--profile", f"kind=constant,rate={load.rate:g}",
        "--constraint", f"kind=max_requests,count={load.requests}",
        "--tokenizer", f"kind=hf_auto,model={tokenizer.folder}",
        "--data", f"kind=synthetic_text,prompt_tokens=16,output_tokens={load.tokens}",
        "--output", f"kind=json,path={report}",
    ]  # fmt: skip
    run(command, timeout_s=120 + 4 * load.requests / load.rate, env=tokenizer.env)
    (benchmark,) = read(report)["benchmarks"]
    told = {
        name: figures["successful"]
        for name, figures in benchmark["metrics"].items()
        if isinstance(figures, dict) and "successful" in figures
    }

    def of(name: str, *, ms: float = 1.0) -> Figures:
        return {share: ms * (told[name]["mean"] if share == "mean" else told[name]["percentiles"][share]) for share in SHARES}

    return Reported(
        {"ttft": of("time_to_first_token_ms"), "itl": of("inter_token_latency_ms"), "e2e": of("request_latency", ms=1000.0)},
        requests=told["request_latency"]["count"], tokens=round(told["output_token_count"]["total_sum"]),
    )  # fmt: skip
