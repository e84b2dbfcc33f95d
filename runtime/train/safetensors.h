#pragma once
// The safetensors format (https://github.com/huggingface/safetensors): 8 bytes little-endian header
// length, a JSON header of types, shapes and offsets, then the tensors' bytes without gaps.

#include "ir/dtype.h"
#include "runtime/atomic_file.h"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// A tensor to be written: row-major elements of `type`, borrowed, alive until the write returns.
struct NamedTensor {
  std::string name;
  TensorType type;
  const void* data = nullptr; ///< type.bytes() bytes; may be null when that is 0.
};

/// Writes all tensors, sorted by name, in one step (AtomicFile): the same input gives the same
/// bytes and no tensor is copied in memory. Names are unique and not `__metadata__`.
/// Throws RuntimeError when the disk is full or fails, UserError when a name or metadata text is
/// not UTF-8; the old file then stays.
void write_safetensors(const std::filesystem::path& path, std::vector<NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata);

/// An open safetensors file whose header has been checked in full: every extent lies in the file,
/// matches its shape and overlaps no other. Tensors are read on demand.
class SafetensorsFile {
public:
  struct Entry {
    std::string name;
    TensorType type;
    int64_t offset = 0; ///< Of the first byte, from the start of the file.
  };

  /// Throws UserError naming what is wrong with the file, RuntimeError when the disk fails.
  explicit SafetensorsFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  /// All tensors, sorted by name.
  const std::vector<Entry>& tensors() const { return tensors_; }
  /// Strings of `__metadata__`; empty when there are none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// The tensor of that name, or null.
  const Entry* find(std::string_view name) const;

  /// Reads the row-major elements of `entry` into `out`, entry.type.bytes() bytes.
  void read(const Entry& entry, void* out) const;

  /// Reads the tensor `name`, which must have the type `expected`; UserError when it is missing or
  /// of another type.
  void read(std::string_view name, const TensorType& expected, void* out) const;

private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::vector<Entry> tensors_;
  std::map<std::string, std::string> metadata_;
};

} // namespace netc
