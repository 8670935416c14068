import Foundation

extension ScalingBenchmark {
    /// The figures as a person reads them; the predictions are tables of Markdown.
    public var table: String {
        let nodes = ranksOfNode == 1 ? "1 rank a node" : "\(ranksOfNode) ranks a node"
        return
            ([
                "\(preset), measured on \(ranks) rank\(ranks == 1 ? "" : "s"), predicted for \(nodes)",
                String(
                    format:
                        "compute        %.2f ms + %.3f ms a sample (from %d … %d samples; "
                        + "at most %.0f %% off the line)",
                    compute.fixed * 1e3,
                    compute.each * 1e3, computePoints.last!.samples, computePoints[0].samples,
                    computeWorstDeviation * 100),
                String(format: "optimizer      %.2f ms", optimizer * 1e3),
                "gradients      "
                    + bytesOfGradients.map { String(format: "%.1f MB", Double($0) / 1e6) }.joined(separator: ", ")
                    + String(format: "; statistics of a shard %.1f kB", Double(bytesOfStatistics) / 1e3),
            ] + (memory.map { [text("memory", $0)] } ?? []) + [
                text("network", network) + (networkIsMeasured ? ", measured" : ", assumed"),
                String(
                    format: "here           %.1f ms predicted, %.1f ms measured: an error of %+.0f %%",
                    check.secondsPredicted * 1e3, check.secondsMeasured * 1e3, check.error * 100),
                "",
                "strong scaling: global batch \(batch)"
                    + (strong.count < weak.count ? "; more ranks than \(batch) have no samples" : ""),
            ] + rows(strong) + ["", "weak scaling: \(batch) samples a rank"] + rows(weak)).joined(separator: "\n")
    }

    private func text(_ name: String, _ link: ScalingModel.Link) -> String {
        name.padding(toLength: 15, withPad: " ", startingAt: 0)
            + String(
                format: "%.1f µs, %.2f GB/s (%.1f Gbit/s)", link.latency * 1e6, link.bytesPerSecond / 1e9,
                link.bytesPerSecond * 8e-9)
            + (link.secondsOfMessage.map { String(format: ", a further message %.1f µs", $0 * 1e6) } ?? "")
    }

    private func rows(_ predictions: [ScalingModel.Prediction]) -> [String] {
        [
            "| ranks | samples a rank | step, ms | messages beside computing, ms | efficiency | most time goes to |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
            + predictions.map { prediction in
                String(
                    format: "| %d | %d | %.1f | %.1f | %.0f %% | ", prediction.ranks, prediction.samplesOfRank,
                    prediction.secondsStep * 1e3, prediction.secondsHidden * 1e3, prediction.efficiency * 100)
                    + String(
                        format: "%@ (%.0f %%) |", prediction.limit.text,
                        100 * prediction.parts[prediction.limit.rawValue]! / prediction.secondsStep)
            }
    }
}

extension ScalingModel.Part {
    /// As the table says it.
    fileprivate var text: String {
        switch self {
        case .samples: "samples"
        case .fixed: "computing that samples do not share"
        case .optimizer: "optimizer"
        case .memory: "memory of a node"
        case .latency: "latency"
        case .wire: "waiting for the wire"
        }
    }
}
