/// What this program is, as stored in checkpoints and compared between ranks.
public enum Program {
    public static let version = "0.6.0"
}
