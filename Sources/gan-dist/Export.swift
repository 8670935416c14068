import Adversarial
import ArgumentParser
import Export
import Foundation
import Runs
import Storage
import Support

struct Export: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// The generator as a model that other programs run.
        case onnx
        /// The parameters and running statistics of all networks.
        case safetensors
    }

    static let configuration = CommandConfiguration(
        abstract: "Write a checkpoint's generator, or the parameters of all networks, for other programs.",
        discussion: """
            onnx: the generator; its input is `latents` [N, Z], its output examples as `sample` writes them. A \
            conditional one has a second input: `label` [N], the number of the class in the order of the labels, or \
            `condition` [N, numbers].
            safetensors: the arrays of all networks under their names in the checkpoint, their dimensions named in \
            the metadata; train --initial reads them.
            Example:
              gan-dist export runs/clothes --format onnx --out clothes.onnx
            """)

    @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var checkpoint: String
    @Option(help: "onnx or safetensors.") var format: Format
    @Option(help: "The file to write.") var out: String
    @Flag(help: "The parameters of the last step, where an average of them was kept (training.average).")
    var live = false

    func run() throws {
        let console = Console(speaks: true)
        let checkpoint = try Checkpoint.read(checkpoint) { console.warn($0) }
        switch format {
        case .onnx: try WholeFile.write(ONNXExport.model(of: GeneratorModel(checkpoint, live: live)), to: out)
        case .safetensors:
            try SafeTensors.write(out, checkpoint.networkArrays(live: live))
        }
        console.say("step \(checkpoint.contents.step) in \(out)")
    }
}
