import Collectives
import Kernels
import Support

/// One changed bit of the parameters of one rank is found, and the rank named, on every rank.
func agreement(_ communicator: MPICommunicator) throws {
    let parameters = FloatBuffer((0 ..< 10_007).map { Float($0) / 3 })
    try communicator.requireEqual(fingerprint(of: parameters.values), "the parameters")
    try communicator.requireEqual("version 1", "the program versions")
    if communicator.size == 1 { return }
    let culprit = communicator.size - 1
    if communicator.rank == culprit { parameters.values[5000] = parameters.values[5000].nextUp }
    do {
        try communicator.requireEqual(fingerprint(of: parameters.values), "the parameters at step 3")
    } catch let error as AgreedFailure {
        let place = "the parameters at step 3 differ on rank \(culprit) (host \(communicator.host))"
        try require(error.failure.message.hasPrefix(place), "\(error)")
        return
    }
    throw Failed(description: "a changed bit went unnoticed")
}
