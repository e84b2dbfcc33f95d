#include "ir/dtype.h"

#include "ir/support/error.h"

#include <fmt/ranges.h>

namespace netc {

int64_t byte_size(DType dtype) {
  switch (dtype) {
  case DType::f32:
  case DType::tf32:
  case DType::i32:
    return 4;
  case DType::bf16:
    return 2;
  case DType::u8:
    return 1;
  }
  return 0;
}

std::string_view to_string(DType dtype) {
  switch (dtype) {
  case DType::f32:
    return "f32";
  case DType::tf32:
    return "tf32";
  case DType::bf16:
    return "bf16";
  case DType::u8:
    return "u8";
  case DType::i32:
    return "i32";
  }
  return "?";
}

std::optional<DType> parse_dtype(std::string_view text) {
  for (DType dtype : {DType::f32, DType::tf32, DType::bf16, DType::u8, DType::i32})
    if (to_string(dtype) == text)
      return dtype;
  return std::nullopt;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

std::string shape_string(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

std::string_view to_string(Layout layout) {
  return layout == Layout::nhwc ? "nhwc" : "row_major";
}

std::string TensorType::str() const {
  return fmt::format("{}[{}]", to_string(dtype), fmt::join(shape, ","));
}

} // namespace netc
