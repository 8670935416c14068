import Adversarial
import ArgumentParser
import Evaluation
import Runs
import Support

struct ClassifierCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "classifier", abstract: "The classifier whose features evaluate compares images by.",
        discussion: "Example:\n  gan-dist classifier train --data data/fashion-mnist.h5 --out data/classifier.h5",
        subcommands: [Train.self])

    struct Train: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Train it on images with labels.",
            discussion: """
                Example:
                  mpirun -n 2 gan-dist classifier train --data data/fashion-mnist.h5 --held-out \
                  data/fashion-mnist-test.h5 --out data/classifier.h5
                """)
        @Option(help: ArgumentHelp("Images with labels.", valueName: "FILE.h5")) var data: String
        @Option(help: ArgumentHelp("Others, to count its accuracy on.", valueName: "FILE.h5")) var heldOut: String?
        @Option(help: "The images' path in these files; default /images. Their labels are /labels.")
        var dataset: String?
        @Option(help: "How often it sees all images.") var epochs = 10
        @Option(help: "What all random numbers follow from.") var seed: UInt64 = 1
        @Option(help: ArgumentHelp("The file to write.", valueName: "FILE.h5")) var out: String

        func validate() throws {
            try check("--epochs", epochs, 1 ... 10_000)
        }

        func run() throws {
            let training = ClassifierTraining(
                data: data, heldOut: heldOut, dataset: dataset, epochs: epochs, seed: seed)
            Job.run { [out] communicator in
                try training.run(to: out, EvaluationContext(communicator, Console(speaks: communicator.rank == 0)))
                return 0
            }
        }
    }
}
