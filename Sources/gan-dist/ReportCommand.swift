import Adversarial
import ArgumentParser
import Report
import Runs
import Support

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "One page of HTML that shows a run, or compares several.",
        discussion: """
            The page needs no network and no program but a browser. What evaluate --json printed is shown where it \
            lies in the run's folder
            as evaluation.json, what nearest drew as nearest.png.
            Example:
              gan-dist report runs/clothes && gan-dist report runs/k1 runs/k5 runs/k20 --out comparison.html
            """)

    @Argument(help: ArgumentHelp("Folders of runs.", valueName: "RUN")) var runs: [String]
    @Option(help: ArgumentHelp("The page to write; default RUN/report.html of a single run.", valueName: "FILE.html"))
    var out: String?
    @Flag(help: "Walks by the parameters of the last step, where an average of them was kept (training.average).")
    var live = false

    func validate() throws {
        if runs.isEmpty { throw ValidationError("Name the folder of a run.") }
        if runs.count > 1, live { throw ValidationError("--live is for the page of a single run, which has walks.") }
        if runs.count > 1, out == nil { throw ValidationError("Name the page for several runs with --out FILE.html.") }
    }

    func run() throws {
        let console = Console(speaks: true)
        let path = out ?? RunFolder(runs[0]).report
        try RunReport(runs, live: live).write(to: path) { console.warn($0) }
        console.say("\(runs.count == 1 ? "1 run" : "\(runs.count) runs") in \(path)")
    }
}
