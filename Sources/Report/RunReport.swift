import Adversarial
import Foundation
import Recipes
import Runs
import Storage
import Support

/// One page that shows a run, or several beside each other.
public struct RunReport {
    private let runs: [RunHistory]
    private let live: Bool

    /// Reads the folders of one or more runs. `live`: examples made for the page are of the last step's parameters,
    /// where an average was kept. Throws 65 or 66.
    public init(_ folders: [String], live: Bool = false) throws {
        precondition(!folders.isEmpty, "a report of no run")
        self.live = live
        runs = try folders.map(RunHistory.init)
    }

    /// `warn` is told of what could not be shown.
    public func html(warn: (String) -> Void) -> String { runs.count == 1 ? single(runs[0], warn) : comparison(warn) }

    /// Writes the page; throws 73 or 74 where it cannot.
    public func write(to path: String, warn: (String) -> Void) throws(Failure) {
        try WholeFile.write(Array(html(warn: warn).utf8), to: path, replacing: true)
    }

    // MARK: - One run

    private func single(_ run: RunHistory, _ warn: (String) -> Void) -> String {
        var page = Page(title: run.model.name)
        page.add(Markup("p", ["class": "lead"], text: summary(run)))
        page.charts(path([run.model.name]) + RunCharts.all(run).map(\.html))
        addSamples(of: run, to: &page)
        addReconstructions(of: run, to: &page)
        addWalks(of: run, to: &page, warn)
        if FileManager.default.fileExists(atPath: run.folder.nearest) {
            page.heading("Samples beside the training images nearest to them")
            page.pictures([(run.folder.nearest, "")])
        }
        if !run.evaluation.isEmpty {
            page.heading("Evaluation")
            page.table(
                ["measure", "value", "standard error", "more"],
                run.evaluation.map { [$0.name, $0.value, $0.standardError ?? "", $0.more] })
        }
        page.heading("Configuration")
        page.add(
            Markup(
                "details", [:],
                [
                    Markup("summary", text: "everything, defaults included"),
                    Markup("pre", text: run.model.yaml),
                ]))
        return page.html
    }

    /// That of a game of two numbers.
    private func path(_ names: [String]) -> [Markup] {
        PlaneChart(Array(zip(runs, names)).map { (run: $0, name: $1) }).map { [$0.html] } ?? []
    }

    private func summary(_ run: RunHistory) -> String {
        var parts: [String]
        let data: Configuration.DataSettings
        switch run.model {
        case .gan(let configuration):
            let training = configuration.training
            parts = [
                "\(Int(run.steps.last ?? 0)) of \(training.steps) steps of \(training.batch) examples",
                "k = \(training.discriminatorSteps)", "seed \(configuration.seed)",
            ]
            data = configuration.data
        case .autoencoder(let configuration):
            parts = [
                "\(Int(run.steps.last ?? 0)) of \(configuration.steps) steps of \(configuration.batch) examples",
                "codes of \(configuration.latent.size) values", "seed \(configuration.seed)",
            ]
            data = configuration.data
        case .discriminator(let configuration):
            let training = configuration.training
            parts = [
                "\(Int(run.steps.last ?? 0)) of \(configuration.steps) steps of \(configuration.batch) examples",
                "\(training.negatives) negatives, replaced every \(training.updatesOfRound) steps",
                "seed \(configuration.seed)",
            ]
            data = configuration.data
        case .mixture(let configuration):
            parts = [
                "\(Int(run.steps.last ?? 0)) of \(configuration.steps) steps",
                "\(configuration.mixture.components) Gaussians of "
                    + "\(configuration.mixture.covariance.rawValue) covariance",
                "seed \(configuration.seed)",
            ]
            data = configuration.data
        }
        if let shards = run.model.exchange.shards { parts.append(shards == 1 ? "1 shard" : "\(shards) shards") }
        if let epoch = run.values("epoch").last, epoch.isFinite { parts.append(String(format: "%.1f epochs", epoch)) }
        if let pace = run.lately("samples_per_second") { parts.append(String(format: "%.0f samples/s", pace)) }
        if let name = data.file ?? data.synthetic.map({ "the built-in \($0.rawValue)" }) {
            parts.append("data \(name)")
        }
        return parts.joined(separator: " · ")
    }

    /// Some of the pictures, evenly apart, the first and the last among them.
    private func addSamples(of run: RunHistory, to page: inout Page) {
        let steps = run.folder.sampleSteps, shown = min(steps.count, 6)
        guard shown > 0 else { return }
        let hasGenerator = if case .discriminator = run.model { false } else { true }
        page.heading(hasGenerator ? "Samples of fixed latents" : "The first negatives")
        page.pictures(
            (0 ..< shown).map { number in
                let step = steps[shown == 1 ? 0 : number * (steps.count - 1) / (shown - 1)]
                return (run.folder.sample(step: step), "step \(step)")
            })
        if FileManager.default.fileExists(atPath: run.folder.animation) {
            page.heading("Over the run")
            page.animation(
                run.folder.animation, still: run.folder.sample(step: steps.last!),
                caption: "the same \(hasGenerator ? "latents" : "negatives"), step \(steps.first!) to \(steps.last!)")
        }
    }

    /// The last ones, of a model with an encoder.
    private func addReconstructions(of run: RunHistory, to page: inout Page) {
        guard let step = run.folder.sampleSteps.last, case let path = run.folder.reconstructions(step: step),
            FileManager.default.fileExists(atPath: path)
        else { return }
        page.heading("Examples and what the \(run.model.generator?.maker.name ?? "decoder") makes of their codes")
        page.pictures([(path, "step \(step)")])
    }

    /// Walks between latents by the newest checkpoint.
    private func addWalks(of run: RunHistory, to page: inout Page, _ warn: (String) -> Void) {
        guard let configuration = run.model.generator else { return }
        do {
            let model = try GeneratorModel(Checkpoint.read(run.folder.path, warn: warn), live: live)
            guard model.hasGenerator, case .image = model.sampler.shape else { return }
            let png = try Interpolation(rows: 6, columns: 9, path: .spherical, seed: configuration.seed).picture(
                model
            ).png()
            page.heading("From one latent to another")
            let which = configuration.average == nil ? "" : live ? ", its own parameters" : ", the average"
            page.picture(png, caption: "spherical walks, a pair a row, step \(model.step)\(which)")
        } catch {
            warn("\(run.folder.path): no walks between latents are shown: \(Failure.of(error).message)")
        }
    }

    // MARK: - Several runs

    private func comparison(_ warn: (String) -> Void) -> String {
        let names = labels
        var page = Page(title: "Comparison of \(runs.count) runs")
        page.add(Markup("p", ["class": "lead"], text: names.joined(separator: " · ")))
        let showsGap = runs.contains { $0.game?.objective.isLogOdds == false }
        let ofTraining = [
            ("Generator's loss", "loss_generator", false), ("Discriminator's loss", "loss_discriminator", false),
            ("D(x), on real examples", "d_real", false),
            ("D(G(z)), on generated ones, or on negatives", "d_fake", false),
            ("Discriminator's gradient norm", "grad_norm_discriminator", true),
            ("Generator's gradient norm", "grad_norm_generator", true), ("The game's value V(D, G)", "value", false),
            ("Mean gap of logits, real − generated", "pair_gap", false),
            ("Pairs ranked rightly", "pairs_ranked", false),
            ("Log-likelihood, nats", "log_likelihood", false),
            ("Log-likelihood of held-out examples, nats", "log_likelihood_held_out", false),
            ("Evidence lower bound, nats", "elbo", false),
            ("Reconstruction, −ln p(x | code), nats", "loss_reconstruction", false),
            ("Divergence of the code, nats", "loss_divergence", false),
            ("Throughput, samples/s", "samples_per_second", false),
        ]
        let measured = Set(runs.flatMap(\.evaluationFigures)).sorted().map {
            ("Evaluation: \(RunCharts.evaluationName($0))", "evaluation_\($0)", false)
        }
        let figures = (ofTraining + measured).filter { figure in
            (showsGap || !Self.ofPairs.contains(figure.1))
                && runs.contains { !values(figure.1, of: $0).isEmpty }
        }
        let charts = figures.map { title, figure, isLogarithmic in
            Chart(
                title: title, note: "",
                series: zip(runs, names).enumerated().compactMap { number, run in
                    let values = values(figure, of: run.0)
                    guard !values.isEmpty else { return nil }
                    return Chart.Series(name: run.1, x: run.0.steps, y: values, colour: number % 8)
                }, isLogarithmic: isLogarithmic)
        }
        page.charts(path(names) + charts.map(\.html))
        page.heading("Lately: means of the last tenth of the logged steps")
        let columns = [
            ("generator's loss", "loss_generator"), ("discriminator's loss", "loss_discriminator"), ("D(x)", "d_real"),
            ("D(G(z))", "d_fake"), ("gap of logits", "pair_gap"), ("log-likelihood, nats", "log_likelihood"),
            ("of held-out examples", "log_likelihood_held_out"), ("ELBO, nats", "elbo"),
            ("reconstruction, nats", "loss_reconstruction"), ("samples/s", "samples_per_second"),
        ].filter { column in
            (showsGap || !Self.ofPairs.contains(column.1)) && runs.contains { lately(column.1, of: $0) != nil }
        }
        page.table(
            ["run", "steps", "minutes"] + columns.map(\.0),
            zip(runs, names).map { run, name in
                [name, "\(Int(run.steps.last ?? 0))", String(format: "%.1f", run.minutes)]
                    + columns.map { column in lately(column.1, of: run).map { String(format: "%.4g", $0) } ?? "" }
            })
        addEvaluations(names, to: &page)
        page.heading("The last samples")
        page.pictures(
            zip(runs, names).compactMap { run, name in
                run.folder.sampleSteps.last.map { (run.folder.sample(step: $0), "\(name), step \($0)") }
            })
        page.heading("What differs in their configurations")
        page.table(["key"] + names, differences.map { key in [key] + runs.map { Self.leaf(key, $0) } })
        return page.html
    }

    /// A compared figure's values; none where the run has not logged it.
    private func values(_ figure: String, of run: RunHistory) -> [Double] {
        let values = run.compared(figure).map(run.values) ?? []
        return values.contains(where: \.isFinite) ? values : []
    }

    private func lately(_ figure: String, of run: RunHistory) -> Double? { run.compared(figure).flatMap(run.lately) }

    /// What is shown of logits where those of a run are no log-odds.
    private static let ofPairs = ["pair_gap", "pairs_ranked"]

    private func addEvaluations(_ names: [String], to page: inout Page) {
        let measures = Set(runs.flatMap { $0.evaluation.map(\.name) }).sorted()
        guard !measures.isEmpty else { return }
        page.heading("Evaluation")
        page.table(
            ["measure"] + names,
            measures.map { measure in
                [measure]
                    + runs.map { run in
                        guard let found = run.evaluation.first(where: { $0.name == measure }) else { return "" }
                        return found.value + (found.standardError.map { " ± \($0)" } ?? "")
                    }
            })
    }

    /// The keys in which the configurations differ.
    private var differences: [String] {
        var keys: [String] = []
        for run in runs {
            for leaf in run.model.leaves where !keys.contains(leaf.path) { keys.append(leaf.path) }
        }
        return keys.filter { key in Set(runs.map { Self.leaf(key, $0) }).count > 1 }
    }

    private static func leaf(_ key: String, _ run: RunHistory) -> String {
        run.model.leaves.first { $0.path == key }?.value ?? ""
    }

    /// What each run is called: the one value in which they differ, as in a sweep, else their folders.
    private var labels: [String] {
        let keys = differences.filter { !$0.hasPrefix("output.") }
        guard keys.count == 1, Set(runs.map { Self.leaf(keys[0], $0) }).count == runs.count else {
            return runs.map { URL(fileURLWithPath: $0.folder.path).lastPathComponent }
        }
        let name = keys[0] == "training.discriminator_steps" ? "k" : keys[0]
        return runs.map { "\(name) = \(Self.leaf(keys[0], $0))" }
    }
}
