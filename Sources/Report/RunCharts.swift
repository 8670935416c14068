import Adversarial
import Foundation
import Recipes

/// The charts of one run: what its objective and its penalties give a meaning to.
struct RunCharts {
    private let run: RunHistory
    private let configuration: Configuration

    /// Those of a run of any model.
    static func all(_ run: RunHistory) -> [Chart] {
        switch run.model {
        case .gan(let configuration): RunCharts(run: run, configuration: configuration).all
        case .autoencoder(let configuration): ofAutoencoder(run, hasBound: configuration.code == .gaussian)
        case .discriminator: ofDiscriminator(run)
        case .mixture: ofMixture(run)
        }
    }

    private static func ofAutoencoder(_ run: RunHistory, hasBound: Bool) -> [Chart] {
        let reconstruction = (name: "reconstruction, −ln p(x | z)", figure: "loss_reconstruction")
        let ofCosts =
            hasBound
            ? [
                run.chart(
                    "Evidence lower bound", "E ln p(x | z) − KL, in nats an example: at most ln p(x)",
                    [("ELBO", "elbo")]),
                run.chart(
                    "Its parts", "in nats an example",
                    [reconstruction, (name: "divergence of the code", figure: "loss_divergence")]),
            ] : [run.chart("Cost", "in nats an example", [reconstruction])]
        return ofCosts + ofEvaluation(run) + [
            run.chart(
                "Gradient norms", "of the whole minibatch, before the update",
                [("encoder", "grad_norm_encoder"), ("decoder", "grad_norm_decoder")], logarithmic: true)
        ] + ofTime(run)
    }

    private static func ofDiscriminator(_ run: RunHistory) -> [Chart] {
        [
            run.chart(
                "Losses", "the halves of the cost that D lowers",
                [("examples", "loss_real"), ("negatives", "loss_fake")],
                (log(2), "log 2: D is ½ everywhere")),
            run.chart(
                "D's probabilities", "the mean probability that it gives to examples being real",
                [("examples", "d_real"), ("negatives", "d_fake")], (0.5, "½")),
            run.chart(
                "What ascent finds", "by how much a round raises the mean logit of the negatives",
                [("rise", "ascent_rise")]),
        ] + ofEvaluation(run) + [
            run.chart(
                "Gradient norm", "of the whole minibatch, before the update",
                [("discriminator", "grad_norm_discriminator")], logarithmic: true)
        ] + ofTime(run)
    }

    private static func ofMixture(_ run: RunHistory) -> [Chart] {
        [
            run.chart(
                "Log-likelihood", "mean ln p(x) in nats, of held-out examples after the step, of the others before it",
                [("examples", "log_likelihood"), ("held out", "log_likelihood_held_out")]),
            run.chart(
                "Components", "on whose variance the floor acts; without examples",
                [("floor acts", "components_floored"), ("empty", "components_empty")]),
            run.chart("Time of a step", "seconds", [("a step", "seconds_step")]),
        ]
    }

    private var all: [Chart] {
        losses + ofLogits + Self.ofEvaluation(run) + ofPenalties + ofAugmentation + ofSpectralNorms + [gradientNorms]
            + Self.ofTime(run)
    }

    private func chart(
        _ title: String, _ note: String, _ curves: [(name: String, figure: String)],
        _ reference: (Double, String)? = nil, logarithmic: Bool = false
    ) -> Chart {
        run.chart(title, note, curves, reference, logarithmic: logarithmic)
    }

    private var losses: [Chart] {
        let balance = configuration.objective.balance?.discriminator, encoder = ("encoder", "loss_encoder")
        func charts(_ others: [(name: String, figure: String)]) -> [Chart] {
            [
                chart(
                    "Losses", "the costs that each player lowers", [("discriminator", "loss_discriminator")] + others,
                    balance.map { ($0, "D at equilibrium: " + String(format: "%.4g", $0)) })
            ]
        }
        switch configuration.encoder?.kind {
        case nil: return charts([("generator", "loss_generator")])
        case .bidirectional: return charts([("generator", "loss_generator"), encoder])
        case .adversarialAutoencoder:
            return [chart("Reconstruction", "−ln p(x | E(x)), in nats an example", [("G and E", "loss_generator")])]
                + charts([encoder])
        }
    }

    private var ofLogits: [Chart] {
        guard configuration.objective.isLogOdds else {
            return [
                chart(
                    "Mean logits", "of D, which this objective does not take for probabilities",
                    [("real examples", "logit_real"), ("generated ones", "logit_fake"), ("their gap", "pair_gap")]),
                chart(
                    "Pairs ranked rightly", "the share of pairs in which the real example has the higher logit",
                    [("share", "pairs_ranked")], (0.5, "½")),
            ]
        }
        let balance = configuration.objective.balancedProbability, isHalf = balance == 0.5
        func line(_ value: Double, _ name: String) -> (Double, String) {
            (value, "at equilibrium: " + (isHalf ? name : String(format: "%.4g", value)))
        }
        return [
            chart(
                "D's probabilities",
                "the mean probability that it gives to "
                    + (run.judgesCodes ? "latents being drawn" : "examples being real"),
                run.judgesCodes
                    ? [("latents, D(z)", "d_real"), ("codes, D(E(x))", "d_fake")]
                    : [("real examples, D(x)", "d_real"), ("generated ones, D(G(z))", "d_fake")],
                balance.map { line($0, "½") }),
            chart(
                "The game's value",
                run.judgesCodes
                    ? "V(D, E) = E log D(z) + E log(1 − D(E(x)))" : "V(D, G) = E log D(x) + E log(1 − D(G(z)))",
                [(run.judgesCodes ? "V(D, E)" : "V(D, G)", "value")],
                balance.map { line(log($0) + log(1 - $0), "−log 4") }),
        ]
    }

    /// A figure of `output.evaluate` as charts name it; the logits are D's.
    static func evaluationName(_ figure: String) -> String {
        (figure.hasPrefix("logit_") ? "D's " : "") + figure.replacing("_", with: " ")
    }

    /// A chart a measure; those that belong together are in one.
    private static func ofEvaluation(_ run: RunHistory) -> [Chart] {
        let found = run.evaluationFigures.filter { !$0.hasSuffix("standard_error") }
        let pairs = [["precision", "recall"], ["density", "coverage"], ["logit_training", "logit_held_out"]]
        let ofTheory = ofTheory(run).filter { $0.curves.contains { found.contains($0.figure) } }
        var groups: [[String]] = []
        for name in found where !ofTheory.contains(where: { $0.curves.contains { $0.figure == name } }) {
            let pair = pairs.first { $0.contains(name) } ?? [name]
            if !groups.contains(pair) { groups.append(pair) }
        }
        return groups.map { group in
            let names = group.map(evaluationName)
            return run.chart(
                "Evaluation: \(names.joined(separator: ", "))", "measured while the run trained",
                zip(names, group).map { ($0, "evaluation_\($1)") })
        } + ofTheory.map(\.chart)
    }

    /// What `optimal-discriminator` and `gradient-variance` measure, whether or not a run has it.
    private static func ofTheory(_ run: RunHistory) -> [(curves: [(name: String, figure: String)], chart: Chart)] {
        func drawn(
            _ title: String, _ note: String, _ curves: [(name: String, figure: String)],
            _ reference: (Double, String)? = nil, logarithmic: Bool = false
        ) -> (curves: [(name: String, figure: String)], chart: Chart) {
            let logged = curves.map { (name: $0.name, figure: "evaluation_\($0.figure)") }
            return (curves, run.chart("Evaluation: \(title)", note, logged, reference, logarithmic: logarithmic))
        }
        let costs = [
            ("minimax", "minimax"), ("non-saturating", "non_saturating"), ("maximum likelihood", "maximum_likelihood"),
            ("reverse KL", "reverse_kl"),
        ]
        return [
            drawn(
                "distance from the optimal D", "E |D(x) − D*(x)|, D* = p / (p + q)",
                [("distance", "optimal_discriminator")]),
            drawn(
                "divergence", "JSD of data and generated examples, in nats; at most log 2",
                [("JSD", "optimal_discriminator_jsd")]),
            drawn(
                "the game's value", "of D and, above it, of the optimal D: −log 4 + 2 JSD",
                [
                    ("V(D, G)", "optimal_discriminator_game_value"),
                    ("V(D*, G)", "optimal_discriminator_best_game_value"),
                ], (-log(4), "at equilibrium: −log 4")),
        ]
            + [
                ("variance of G's gradient", "tr Cov of an example's gradient, of each cost against the same D", ""),
                ("norm of G's gradient", "of the mean over the examples", "_norm"),
                (
                    "noise scale of G's gradient", "variance / norm²: the batch whose noise is as large as it",
                    "_noise_scale"
                ),
            ].map { title, note, figure in
                drawn(title, note, costs.map { ($0, "gradient_variance_\($1)\(figure)") }, logarithmic: true)
            }
    }

    private var ofPenalties: [Chart] {
        var charts: [Chart] = []
        if !places.isEmpty {
            // Two targets are no one line.
            let target = targets.count == 1 ? targets.first : nil
            charts.append(
                chart(
                    "D's slope", "E ‖∇ₓ s(x)‖ where penalties look at it, as last taken",
                    places.map { ($0.name, "grad_x_\($0.place)") },
                    target.map { ($0, "target: " + String(format: "%.4g", $0)) }))
        }
        let leCam = configuration.leCam == nil ? [] : [(name: "LeCam", figure: "lecam")]
        let costs = places.map { (name: $0.name, figure: "penalty_\($0.place)") } + leCam
        if !costs.isEmpty { charts.append(chart("Penalties", "what they add to D's cost, beside its loss", costs)) }
        return charts
    }

    private var ofAugmentation: [Chart] {
        guard let augmentation = configuration.training.augmentation else { return [] }
        var charts = [
            chart(
                "Augmentation", "p, with which each transformation is made of an image", [("p", "augment_probability")])
        ]
        if configuration.objective.signMeansReal {
            var target: Double?
            if case .adaptive(let adaptive) = augmentation.probability { target = adaptive.target }
            charts.append(
                chart(
                    "D's sureness of real examples", "the mean sign of their logits; 1: D knows them all",
                    [("mean sign", "real_sign")], target.map { ($0, "target: " + String(format: "%.4g", $0)) }))
        }
        return charts
    }

    private var ofSpectralNorms: [Chart] {
        let norms = run.spectralNorms
        guard !norms.isEmpty else { return [] }
        return [
            chart(
                "Spectral norms", "σ of each weight that is divided by it",
                norms.map { ($0.split(separator: "/").dropFirst().joined(separator: " "), $0) })
        ]
    }

    private var gradientNorms: Chart {
        chart(
            "Gradient norms", "of the whole minibatch, before the update",
            [("discriminator", "grad_norm_discriminator"), ("generator", "grad_norm_generator")]
                + (configuration.encoder == nil ? [] : [("encoder", "grad_norm_encoder")]), logarithmic: true)
    }

    private static func ofTime(_ run: RunHistory) -> [Chart] {
        [
            run.chart("Throughput", "real examples a second", [("samples/s", "samples_per_second")]),
            run.chart(
                "Where a step's time goes", "seconds",
                [
                    ("computing", "seconds_compute"), ("communication", "seconds_communication"),
                    ("waiting for data", "seconds_data"),
                ]),
        ]
    }

    /// Where the run's penalties are taken, by the names of the log.
    private var places: [(name: String, place: String)] {
        configuration.penalties.map { penalty in
            switch penalty.kind {
            case .r1: ("real examples (R1)", "real")
            case .r2: ("generated ones (R2)", "fake")
            case .gradientPenalty: ("between the two (WGAN-GP)", "between")
            case .dragan: ("around real ones (DRAGAN)", "around")
            }
        }
    }

    /// What penalties hold the slope to.
    private var targets: Set<Double> {
        Set(
            configuration.penalties.compactMap { penalty -> Double? in
                switch penalty.kind {
                case .r1, .r2: nil
                case .gradientPenalty(let target), .dragan(let target, _): target
                }
            })
    }
}

extension RunHistory {
    /// Curves of logged figures over the steps.
    fileprivate func chart(
        _ title: String, _ note: String, _ curves: [(name: String, figure: String)],
        _ reference: (Double, String)? = nil, logarithmic: Bool = false
    ) -> Chart {
        Chart(
            title: title, note: note,
            series: curves.enumerated().map {
                Chart.Series(name: $1.name, x: steps, y: values($1.figure), colour: $0 % 8)
            }, reference: reference.map { (value: $0.0, name: $0.1) }, isLogarithmic: logarithmic)
    }
}
