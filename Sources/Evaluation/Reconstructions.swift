import Adversarial
import Autoencoders
import Collectives
import Foundation
import Kernels
import Runs
import Storage
import Support

/// Examples beside what is made of their codes, or of the means of these, as a picture.
public enum Reconstructions {
    /// Of the first `request.count` examples of `request.data`. Writes `path`. Collective.
    public static func write(_ request: EvaluationRequest, to path: String, _ context: EvaluationContext) throws {
        let inputs = try EvaluationInputs(request, context, heldOut: false)
        guard let autoencoder = inputs.autoencoder else {
            throw AgreedFailure(
                Failure(
                    .badConfiguration, "\(request.checkpoint ?? ""): it has no encoder, of which this asks",
                    remedy:
                        "Name a checkpoint of a model with one: model.kind: vae, autoencoder, "
                        + "adversarialAutoencoder or bigan."
                ))
        }
        _ = try context.communicator.decidedByRoot {
            let examples = try Examples(
                inputs.data, Array(0 ..< min(request.count ?? 32, inputs.data.count)), shape: inputs.shape)
            let asMade = inputs.asMade(examples, 0 ..< examples.count)
            try autoencoder.picture(of: asMade, range: inputs.sampler!.range).write(to: path)
            let made = try autoencoder.reconstructions(asMade)
            let apart = Distances.squared(made.values, asMade.values) / Double(asMade.count)
            context.console.say(
                "\(examples.count) examples and their reconstructions in \(path); mean square difference of a value "
                    + String(format: "%.4g", apart))
            return ""
        }
    }
}
