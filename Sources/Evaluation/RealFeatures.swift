import Collectives
import Kernels
import Runs
import Storage
import Support

/// What the classifier says of the real examples that a run's samples are measured by, kept in a file of the run's
/// folder: it is the same at all evaluations, and in all jobs of the run.
struct RealFeatures {
    let path: String
    /// What it follows from: a file that says otherwise is another's.
    let key: [(name: String, value: AttributeValue)]
    let count: Int
    let classes: Int

    /// Those of the file, where all ranks find it as it should be; else what `make` finds, which is written.
    /// Collective.
    func answers(
        _ context: EvaluationContext, _ make: () throws -> Classifier.Answers
    ) throws -> Classifier.Answers {
        let found = read()
        if try !context.communicator.any(found == nil), let found { return found }
        let made = rounded(try make())
        if context.communicator.rank == 0 {
            do { try write(made) } catch {
                // The run can do without: it costs the next job some time.
                context.console.warn("what evaluations share is not kept: \(error.message)")
            }
        }
        return made
    }

    private func read() -> Classifier.Answers? {
        guard let contents = try? CheckpointFile.read(path),
            key.allSatisfy({ contents.attribute($0.name)?.description == $0.value.description }),
            let features = contents.array("features"), features.count == count * Classifier.features,
            let logProbabilities = contents.array("log_probabilities"), logProbabilities.count == count * classes
        else { return nil }
        let values = FloatBuffer(count: features.count)
        features.copy(to: values.values)
        return Classifier.Answers(
            features: Examples(values, shape: .vector(Classifier.features)),
            logProbabilities: logProbabilities.array.map(Double.init), classes: classes)
    }

    private func write(_ answers: Classifier.Answers) throws(Failure) {
        let contents = CheckpointContents(
            attributes: [("step", .integer(0))] + key,
            arrays: [
                CheckpointArray(
                    path: "features", dimensions: [count, Classifier.features], layout: "C",
                    values: answers.features.values.array),
                CheckpointArray(
                    path: "log_probabilities", dimensions: [count, classes], layout: "C",
                    values: answers.logProbabilities.map(Float.init)),
            ])
        try CheckpointImage(contents).write(to: path)
    }

    /// As they come back from the file: figures shall not depend on whether it was there.
    private func rounded(_ answers: Classifier.Answers) -> Classifier.Answers {
        Classifier.Answers(
            features: answers.features, logProbabilities: answers.logProbabilities.map { Double(Float($0)) },
            classes: answers.classes)
    }
}
