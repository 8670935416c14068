import Adversarial
import Kernels
import Nets
import Runs
import Storage
import Support

/// Samples beside the training images nearest to them, as the last column of figure 2 of Goodfellow et al. 2014 shows
/// them: a row a sample, first the sample, then its neighbours, nearest first.
public enum NearestSheet {
    public static let neighbours = 5

    /// Writes the picture `path`. Collective.
    public static func write(_ request: EvaluationRequest, to path: String, _ context: EvaluationContext) throws {
        let inputs = try EvaluationInputs(request, context, heldOut: false)
        let samples = try inputs.samples(context)
        guard case .image(let height, let width, let channels) = samples.shape, Picture.canDraw(samples.shape) else {
            throw AgreedFailure(
                Failure(
                    .badConfiguration, "examples of shape \(samples.shape) cannot be drawn beside each other",
                    remedy: "Use a checkpoint that makes images of at most 16 channels."))
        }
        let count = min(neighbours, inputs.data.count)
        let found = try NearestExamples.find(samples, in: inputs.data, count: count, context, "nearest")
        _ = try context.communicator.decidedByRoot {
            let columns = count + 1
            let sheet = FloatBuffer(count: samples.count * columns * samples.shape.count)
            let tile = { (number: Int) in
                sheet.values[number * samples.shape.count ..< (number + 1) * samples.shape.count]
            }
            for row in 0 ..< samples.count {
                tile(row * columns).copy(from: samples[row ..< row + 1])
                for column in 0 ..< count {
                    try inputs.data.read([found[row * count + column].index], into: tile(row * columns + column + 1))
                }
            }
            try PNGGrid.write(
                sheet.values, shape: [height, width, channels], range: 0 ... 1, columns: columns, to: path)
            return ""
        }
        let least = found.map(\.distance).min()!
        context.console.say(
            "\(path): a row a sample, \(samples.count) of them, each before the \(count) nearest of "
                + "\(inputs.data.count) images; the least distance is \(least)"
        )
    }
}
