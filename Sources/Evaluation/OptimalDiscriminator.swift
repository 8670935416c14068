import Adversarial
import Foundation
import Kernels
import Nets
import Runs
import Storage
import Support

/// For one-dimensional data of known density: D beside the best one for this generator, D*(x) = p(x) / (p(x) + q(x))
/// (Goodfellow et al. 2014, proposition 1), over bins of x. The density p of the data is exact, q that of what G makes
/// of many latents.
///
/// With D* the value of the game is V(D*, G) = −log 4 + 2 JSD(p ‖ q) (theorem 1); how far V(D, G) is below it, D has to
/// learn yet.
public struct OptimalDiscriminator {
    static let bins = 200

    /// Points that G puts somewhere, each with the share of G's examples that it stands for.
    typealias Cloud = [(x: Double, share: Double)]

    /// The middles of the bins.
    let x: [Double]
    let dataDensity: [Double]
    let generatedDensity: [Double]
    let discriminator: [Double]
    let optimum: [Double]
    /// For a one-dimensional latent: z and where the generator puts it.
    let arrows: [(z: Double, x: Double)]
    /// The shares of data and of generated examples in the bins and, first and last, beyond them; D there.
    private let shares: [(data: Double, generated: Double, logit: Double)]

    /// E |D(x) − D*(x)| over x of half data, half generated.
    var distance: Double {
        let weights = zip(dataDensity, generatedDensity).map(+)
        return zip(weights, zip(discriminator, optimum)).reduce(0) { $0 + $1.0 * abs($1.1.0 - $1.1.1) }
            / weights.reduce(0, +)
    }

    /// V(D, G) = E log D(x) + E log(1 − D(G(z))).
    var value: Double { -shares.reduce(0) { $0 + $1.data * softplus(-$1.logit) + $1.generated * softplus($1.logit) } }

    /// JSD(p ‖ q), in nats.
    var divergence: Double {
        func term(_ share: Double, _ both: Double) -> Double { share > 0 ? 0.5 * share * log(2 * share / both) : 0 }
        return shares.reduce(0) { sum, part in
            let both = part.data + part.generated
            return sum + term(part.data, both) + term(part.generated, both)
        }
    }

    /// V(D*, G).
    var bestValue: Double { 2 * divergence - log(4) }

    /// `logits`: D's of some points.
    init(
        _ mixture: Mixture, _ generated: Cloud, arrows: [(z: Double, x: Double)] = [],
        logits: ([Float]) throws -> [Float]
    ) rethrows {
        let sorted = generated.sorted { $0.x < $1.x }
        let low = min(sorted.quantile(0.001), mixture.modes.map { $0[0] }.min()! - 4 * mixture.deviation)
        let high = max(sorted.quantile(0.999), mixture.modes.map { $0[0] }.max()! + 4 * mixture.deviation)
        let width = (high - low) / Double(Self.bins)
        // The first and the last are of all that is beyond the bins.
        var ofGenerator = [Double](repeating: 0, count: Self.bins + 2)
        for point in generated {
            let bin = ((point.x - low) / width).rounded(.down) + 1
            ofGenerator[bin > 0 ? Int(min(bin, Double(Self.bins + 1))) : 0] += point.share
        }
        let edges = (0 ... Self.bins).map { low + Double($0) * width }
        let above =
            [1]
            + edges.map { edge in
                mixture.modes.reduce(0) { $0 + upperTail((edge - $1[0]) / mixture.deviation) }
                    / Double(mixture.modes.count)
            } + [0]
        let ofData = zip(above, above.dropFirst()).map { $0 - $1 }
        let x = (0 ..< Self.bins).map { low + (Double($0) + 0.5) * width }
        let found = try logits(x.map(Float.init)).map(Double.init)
        shares = zip(zip(ofData, ofGenerator), [found[0]] + found + [found.last!]).map { ($0.0, $0.1, $1) }
        (self.x, self.arrows) = (x, arrows)
        dataDensity = ofData[1 ... Self.bins].map { $0 / width }
        generatedDensity = ofGenerator[1 ... Self.bins].map { $0 / width }
        discriminator = found.map(sigmoid)
        optimum = zip(dataDensity, generatedDensity).map { $0 + $1 > 0 ? $0 / ($0 + $1) : 0.5 }
    }

    /// Of a generator of points on a line. Collective.
    init(
        _ mixture: Mixture, _ sampler: Sampler, seed: UInt64, _ context: EvaluationContext,
        logits: ([Float]) throws -> [Float]
    ) throws {
        let (generated, arrows) = try Self.cloud(of: sampler, seed: seed, context)
        try self.init(mixture, generated, arrows: arrows, logits: logits)
    }

    /// Where the examples of a generator lie, and where it puts some of the latents of one value.
    private static func cloud(
        of sampler: Sampler, seed: UInt64, _ context: EvaluationContext
    ) throws -> (Cloud, arrows: [(z: Double, x: Double)]) {
        let title = "density of the samples"
        guard let latents = latents(of: sampler) else {
            let drawn = try context.map(samples, block: 4096, title) { rows in
                try sampler.samples(
                    count: rows.count, Draws(seed: seed, purpose: .evaluation, step: 0, firstSample: rows.lowerBound)
                ).array
            }
            return (drawn.map { (x: Double($0), share: 1 / Double(samples)) }, [])
        }
        let images = try context.map(latents.count, block: 4096, title) { rows in
            try sampler.samples(of: FloatBuffer(latents[rows].map { Float($0.z) })).array
        }
        let reach = sampler.latentBound.map(Double.init) ?? 2.5
        let z = (0 ... 20).map { reach * (Double($0) / 10 - 1) }
        let ends = try sampler.samples(of: FloatBuffer(z.map(Float.init))).array
        return (
            zip(latents, images).map { (x: Double($1), share: $0.share) }, zip(z, ends).map { (z: $0, x: Double($1)) }
        )
    }

    /// Latents that are drawn, where a latent has more than one value.
    static let samples = 1 << 18
    /// Places of one-dimensional latents, evenly apart.
    static let places = 1 << 16

    /// How q is found, for the settings of a result.
    static func density(of sampler: Sampler) -> String {
        sampler.latentSize == 1 ? "of \(places) places of z" : "of \(samples) samples"
    }

    /// Of one-dimensional latents their density over places evenly apart: nothing is left to chance. Nil for others.
    private static func latents(of sampler: Sampler) -> [(z: Double, share: Double)]? {
        guard sampler.latentSize == 1 else { return nil }
        let bound = sampler.latentBound.map(Double.init), reach = bound ?? 6
        let step = 2 * reach / Double(places)
        let latents = (0 ..< places).map { (Double($0) + 0.5) * step - reach }
        let densities = latents.map { (z: Double) -> Double in bound == nil ? exp(-z * z / 2) : 1 }
        let whole = densities.reduce(0, +)
        return zip(latents, densities).map { (z: $0, share: $1 / whole) }
    }

    /// What `evaluate` and `output.evaluate` say of it.
    func result(_ settings: [MetricResult.Entry]) -> MetricResult {
        MetricResult(
            Metric.optimalDiscriminator.rawValue, distance,
            more: [
                ("game_value", .number(value)), ("best_game_value", .number(bestValue)), ("jsd", .number(divergence)),
            ],
            settings: settings + [("bins", .count(Self.bins))])
    }

    /// The curves as in the paper's figure 1, as SVG: data dotted, samples drawn through, D dashed, D* thin; below,
    /// where z goes.
    var svg: String {
        let (width, height, margin) = (640.0, 360.0, 30.0)
        let top = max(dataDensity.max()!, generatedDensity.max()!, 1)
        func place(_ x: Double) -> Double {
            margin + (x - self.x[0]) / (self.x[self.x.count - 1] - self.x[0]) * (width - 2 * margin)
        }
        func curve(_ values: [Double], of scale: Double, _ colour: String, width: String, dashes: String) -> Markup {
            let points = zip(x, values).map {
                Markup.place(place($0)) + "," + Markup.place(height - margin - $1 / scale * (height - 2 * margin))
            }
            return Markup(
                "polyline",
                [
                    "fill": "none", "stroke": colour, "stroke-width": width, "stroke-dasharray": dashes,
                    "points": points.joined(separator: " "),
                ])
        }
        let colours = (data: "#d08000", samples: "#20a060", discriminator: "#4070e0", optimum: "#b04090")
        let names = [
            ("data", colours.data), ("samples", colours.samples), ("D", colours.discriminator),
            ("optimal D", colours.optimum),
        ].enumerated().map { number, word in
            Markup("text", ["x": Markup.place(margin + 90 * Double(number)), "y": "20", "fill": word.1], text: word.0)
        }
        let ends = [(x[0], "start"), (x[x.count - 1], "end")].map {
            Markup(
                "text",
                [
                    "x": Markup.place(place($0.0)), "y": Markup.place(height - 12), "text-anchor": $0.1,
                    "fill": "#888888",
                ], text: String(format: "%.2f", $0.0))
        }
        let reach = arrows.map { abs($0.z) }.max() ?? 1
        let lines = arrows.map { arrow in
            Markup(
                "line",
                [
                    "x1": Markup.place(width / 2 + arrow.z / reach * (width / 2 - margin)),
                    "y1": Markup.place(height + 70), "x2": Markup.place(place(arrow.x)), "y2": Markup.place(height),
                    "stroke": "#888888", "stroke-width": "0.8",
                ])
        }
        let curves = [
            curve(dataDensity, of: top, colours.data, width: "2", dashes: "2 4"),
            curve(generatedDensity, of: top, colours.samples, width: "2", dashes: "none"),
            curve(discriminator, of: 1, colours.discriminator, width: "2", dashes: "8 5"),
            curve(optimum, of: 1, colours.optimum, width: "1", dashes: "none"),
        ]
        return Markup(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "font-family": "sans-serif", "font-size": "13",
                "viewBox": "0 0 \(Int(width)) \(Int(height) + (arrows.isEmpty ? 0 : 80))",
            ], names + ends + curves + lines
        ).description + "\n"
    }
}

extension OptimalDiscriminator.Cloud {
    /// Where a share of all, in order, ends.
    fileprivate func quantile(_ share: Double) -> Double {
        var below = 0.0
        for point in self {
            below += point.share
            if below >= share { return point.x }
        }
        return last!.x
    }
}
