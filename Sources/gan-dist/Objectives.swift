import ArgumentParser
import Evaluation
import Storage
import Support

struct Objectives: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw the generator's costs, and how hard each pushes, over D(G(z)).",
        discussion: "Example:\n  gan-dist objectives --out objectives.svg")

    @Option(help: ArgumentHelp("The drawing to write.", valueName: "FILE.svg")) var out: String

    func validate() throws {
        if !out.hasSuffix(".svg") { throw ValidationError("--out '\(out)' must end in .svg.") }
    }

    func run() throws {
        try WholeFile.write(Array(ObjectiveFigure.svg.utf8), to: out, replacing: true)
        Console(speaks: true).say("\(ObjectiveFigure.costs) costs in \(out)")
    }
}
