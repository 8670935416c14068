import Adversarial
import ArgumentParser
import Runs
import Support

struct Interpolate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw what a generator makes on the way from one latent to another, or along one dimension of it.",
        discussion: """
            A row is a pair of latents; with --dimension a latent, of which that value alone changes, over ±3 of a \
            normal latent, or ±T, and ±√3 of a uniform one. Of a conditional generator each row is of another class.
            Example:
              gan-dist interpolate runs/clothes --rows 6 --columns 10 --path linear --out walks.png
              gan-dist interpolate runs/clothes --dimension 17 --out seventeenth.png
            """)

    @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var checkpoint: String
    @Option(help: "Pairs of latents, or latents.") var rows = 8
    @Option(help: "Points from the first latent of a pair to the second, or along the dimension.") var columns = 9
    @Option(help: "spherical (default), at an even distance from the origin, or linear.") var path: Interpolation.Path?
    @Option(help: ArgumentHelp("The number, from 0, of the only value of a latent that changes.", valueName: "I"))
    var dimension: Int?
    @OptionGroup var asked: AskedCondition
    @Option(help: "What the latents follow from.") var seed: UInt64 = 1
    @Option(help: ArgumentHelp("The picture to write.", valueName: "FILE.png")) var out: String
    @OptionGroup var truncation: TruncationOption
    @Flag(help: "The parameters of the last step, where an average of them was kept (training.average).")
    var live = false

    func validate() throws {
        try check("--rows", rows, 1 ... 1000)
        try check("--columns", columns, 2 ... 1000)
        if let dimension { try check("--dimension", dimension, 0 ... 1 << 20) }
        if path != nil, dimension != nil { throw ValidationError("--path and --dimension exclude each other.") }
        guard out.hasSuffix(".png") else { throw ValidationError("--out '\(out)' must end in .png.") }
    }

    func run() throws {
        let console = Console(speaks: true)
        let model = try GeneratorModel(
            Checkpoint.read(checkpoint) { console.warn($0) }, live: live, truncation: truncation.value)
        let path = path ?? .spherical
        try Interpolation(
            rows: rows, columns: columns, path: path, seed: seed, condition: asked.request, dimension: dimension
        ).picture(model).write(to: out)
        let walks = dimension.map { "walks along dimension \($0)" } ?? "\(path.rawValue) walks"
        console.say("\(rows) \(walks) of \(columns) points at step \(model.step) in \(out)")
    }
}

extension Interpolation.Path: ExpressibleByArgument {}
