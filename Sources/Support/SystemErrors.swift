import Foundation

/// The error numbers of the C library in words, and what helps against each, for all who open, read and write files.
public enum SystemError {
    /// Such as "No space left on device".
    public static func text(_ number: Int32) -> String { String(cString: strerror(number)) }

    /// What to do about `number`, met on opening or reading `path`; if `writing`, on making or writing it.
    public static func remedy(_ number: Int32, _ path: String, writing: Bool) -> String {
        switch number {
        case EACCES, EPERM:
            return writing
                ? "Give this user the right to write there, or name another place."
                : "Give this user the right to read it and to enter its folders."
        case ENOENT where path.hasPrefix("~"):
            return "The shell did not put the home folder in the place of ~: write $HOME in double quotes."
        case ENOENT:
            return writing
                ? "Make the folder, or check the path." : "Check the path; relative paths start at the working folder."
        case ENOTDIR: return "A part of the path is a file, not a folder: check the path."
        case EISDIR: return "It is a folder: name a file."
        case EEXIST: return "Name another, or remove this one."
        case ELOOP: return "The path goes through links that lead to each other: mend them, or name the file itself."
        case ENAMETOOLONG: return "Use a shorter name: most file systems take 255 bytes a name, and Linux 4095 a path."
        case EMFILE: return "This process may have no more files open: raise the limit with ulimit -n."
        case ENFILE:
            return "The machine has no more files to open: end what holds so many, or raise the kernel's fs.file-max."
        case ENOMEM: return "Free memory, or raise the job's limit of it, then run again."
        case ENOSPC: return "Make room on that file system (df, and df -i for the number of files), then run again."
        case EDQUOT: return "Your quota there is used up: remove files or have it raised, then run again."
        case EFBIG:
            return
                "The file is larger than ulimit -f or its file system allows: "
                + "raise the limit, or use another file system."
        case EROFS: return "That file system is mounted for reading only: name a place on another."
        case ETXTBSY: return "It is a program that is running: name another file."
        case ESTALE:
            return "The file server has put another in its place, or lost it: look at the file, then run again."
        case EIO, ENXIO, ENODEV, ETIMEDOUT:
            return "The disk or the file server fails: check it (dmesg), then run again."
        case EINVAL: return "The file system does not take that name or call: use another."
        default:
            return writing
                ? "Check the disk and the folder's rights, then run again."
                : "Check the path and the disk, then run again."
        }
    }

    /// Whether the system, not the path that was given, is at fault.
    public static func isOfTheSystem(_ number: Int32) -> Bool {
        [EIO, ENXIO, ENODEV, ETIMEDOUT, ESTALE, EMFILE, ENFILE, ENOMEM].contains(number)
    }
}

/// The same of an error that Foundation throws: the system's number is in it or below it.
extension SystemError {
    private static func number(of error: any Error) -> Int32? {
        // Foundation's own errors have the system's below them, as a Swift error that is no NSError yet.
        let below = (error as NSError).userInfo[NSUnderlyingErrorKey] as? any Error
        return [error, below].compactMap { $0.map { $0 as NSError } }.first { $0.domain == NSPOSIXErrorDomain }.map {
            Int32($0.code)
        }
    }

    public static func text(of error: any Error) -> String { number(of: error).map(text) ?? error.localizedDescription }

    public static func remedy(of error: any Error, _ path: String, writing: Bool) -> String {
        remedy(number(of: error) ?? 0, path, writing: writing)
    }
}

/// A name as a shell takes it, for commands that are to be pasted.
public func shellQuoted(_ name: String) -> String {
    let isPlain =
        !name.isEmpty
        && name.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || "0123456789_-./+,:@%".unicodeScalars.contains($0)
        }
    return isPlain
        ? name : "'" + name.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
