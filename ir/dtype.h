#pragma once
// Element types, shapes and memory layouts of tensors.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// Element type of a tensor. Kernels compute in f32 what memory holds in bf16 or as tf32: f32 whose
/// mantissa is rounded to 10 bits, the operand of a TF32 product.
enum class DType : uint8_t { f32, tf32, bf16, u8, i32 };

/// Whether it is a type of memory alone: what kernels load of it is f32, what they store is
/// rounded.
constexpr bool is_rounded(DType dtype) {
  return dtype == DType::tf32 || dtype == DType::bf16;
}

/// Bytes of one element.
int64_t byte_size(DType dtype);
/// IR notation: `f32`, `tf32`, `bf16`, `u8`, `i32`.
std::string_view to_string(DType dtype);
std::optional<DType> parse_dtype(std::string_view text);

/// Logical extents, outermost first. Images are (batch, channels, height, width), features
/// (batch, features), convolution weights (out, in / groups, height, width).
using Shape = std::vector<int64_t>;

/// Product of the extents; 1 for a scalar.
int64_t element_count(const Shape& shape);
/// `64x96x55x55`, or `scalar`.
std::string shape_string(const Shape& shape);

/// How a logical rank-4 tensor lies in memory; tensors of other ranks are always row-major.
enum class Layout : uint8_t {
  row_major, ///< The logical order, last index fastest (NCHW for images, OIHW for weights).
  nhwc,      ///< Channels innermost: (batch, height, width, channels).
};
std::string_view to_string(Layout layout);

/// Type of a value: element type and logical shape.
struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  int64_t elements() const { return element_count(shape); }
  int64_t bytes() const { return elements() * byte_size(dtype); }
  /// IR notation, e.g. `f32[64,96,55,55]`.
  std::string str() const;
  bool operator==(const TensorType&) const = default;
};

} // namespace netc
