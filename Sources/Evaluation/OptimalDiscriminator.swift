import Adversarial
import Foundation
import Kernels
import Nets
import Runs
import Storage
import Support

/// For one-dimensional data of known density: D beside the best one for this generator, D*(x) = p_data(x) /
/// (p_data(x) + p_g(x)) (Goodfellow et al. 2014, proposition 1), over bins of x. p_data is exact, p_g counted from
/// many samples.
public struct OptimalDiscriminator {
    static let bins = 200

    /// The middles of the bins.
    let x: [Double]
    let dataDensity: [Double]
    let generatedDensity: [Double]
    let discriminator: [Double]
    let optimum: [Double]
    /// For a one-dimensional latent: z and where the generator puts it.
    let arrows: [(z: Double, x: Double)]

    /// E |D(x) − D*(x)| over x of half data, half generated.
    var distance: Double {
        let weights = zip(dataDensity, generatedDensity).map(+)
        return zip(weights, zip(discriminator, optimum)).reduce(0) { $0 + $1.0 * abs($1.1.0 - $1.1.1) }
            / weights.reduce(0, +)
    }

    init(
        _ mixture: Mixture, generated: [Double], discriminator: ([Float]) throws -> [Double],
        arrows: [(z: Double, x: Double)] = []
    ) rethrows {
        let sorted = generated.sorted()
        let low = min(sorted.quantile(0.001), mixture.modes.map { $0[0] }.min()! - 4 * mixture.deviation)
        let high = max(sorted.quantile(0.999), mixture.modes.map { $0[0] }.max()! + 4 * mixture.deviation)
        let width = (high - low) / Double(Self.bins)
        var counts = [Int](repeating: 0, count: Self.bins)
        for value in generated where value >= low && value < high {
            counts[min(Int((value - low) / width), Self.bins - 1)] += 1
        }
        let edges = (0 ... Self.bins).map { low + Double($0) * width }
        let x = (0 ..< Self.bins).map { low + (Double($0) + 0.5) * width }
        let data = (0 ..< Self.bins).map { bin in
            mixture.modes.reduce(0) { sum, mode in
                sum + upperTail((edges[bin] - mode[0]) / mixture.deviation)
                    - upperTail((edges[bin + 1] - mode[0]) / mixture.deviation)
            } / (Double(mixture.modes.count) * width)
        }
        let ofGenerator = counts.map { Double($0) / (Double(generated.count) * width) }
        (self.x, dataDensity, generatedDensity, self.arrows) = (x, data, ofGenerator, arrows)
        self.discriminator = try discriminator(x.map(Float.init))
        optimum = zip(data, ofGenerator).map { $0 + $1 > 0 ? $0 / ($0 + $1) : 0.5 }
    }

    /// Of a checkpoint trained on one-dimensional points. Collective.
    init(
        _ mixture: Mixture, _ model: GeneratorModel, _ discriminator: DiscriminatorModel, samples: Int = 1 << 18,
        seed: UInt64, _ context: EvaluationContext
    ) throws {
        let generated = try context.map(samples, block: 4096, "game: density of the samples") { rows in
            try model.sampler.samples(
                count: rows.count, Draws(seed: seed, purpose: .evaluation, step: 0, firstSample: rows.lowerBound)
            ).array
        }
        var arrows: [(z: Double, x: Double)] = []
        if model.configuration.latent.size == 1 {
            let reach: Float = model.configuration.latent.distribution == .normal ? 2.5 : Float(3).squareRoot()
            let z = FloatBuffer((0 ... 20).map { reach * (Float($0) / 10 - 1) })
            let images = try model.network.forward(
                Batch(z.values, count: z.count, shape: .vector(1)), parameters: model.network.store.values.values,
                mode: .sampling)
            arrows = (0 ..< z.count).map { (Double(z.values[$0]), Double(images.values[$0])) }
        }
        try self.init(
            mixture, generated: generated.map(Double.init),
            discriminator: { points in
                try discriminator.logits(FloatBuffer(points)).map { sigmoid(Double($0)) }
            }, arrows: arrows)
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
