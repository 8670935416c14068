import Adversarial
import ArgumentParser
import Collectives
import Evaluation
import Runs
import Support

struct Reconstruct: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw examples beside what is made of their codes.",
        discussion: """
            The code of an example is what the encoder makes, of a variational one the mean. Of points the \
            picture has what is made of them.
            Example:
              gan-dist reconstruct runs/vae --data data/fashion-mnist-test.h5 --count 32 --out rebuilt.png
            """)

    @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var checkpoint: String
    @Option(help: ArgumentHelp("The examples; default: what the checkpoint was trained on.", valueName: "FILE.h5"))
    var data: String?
    @Option(help: "Their path in that file; default: the run's data.dataset, else /images or /samples.")
    var dataset: String?
    @Option(help: "How many of them, the first ones.") var count = 32
    @Option(help: ArgumentHelp("The picture to write.", valueName: "FILE.png")) var out: String

    func validate() throws {
        try check("--count", count, 1 ... 100_000)
        guard out.hasSuffix(".png") else { throw ValidationError("--out '\(out)' must end in .png.") }
    }

    func run() throws {
        var request = EvaluationRequest()
        (request.checkpoint, request.data, request.dataset, request.count) = (checkpoint, data, dataset, count)
        Job.run { [request, out] communicator in
            let context = EvaluationContext(communicator, Console(speaks: communicator.rank == 0))
            try Reconstructions.write(request, to: out, context)
            return 0
        }
    }
}
