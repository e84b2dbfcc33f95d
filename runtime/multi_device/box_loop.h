#pragma once
// Walks a box of elements in several tensors at once, however each of them lies in memory.

#include "ir/kernel_abi.h"
#include "ir/sharding.h"

#include <array>
#include <cstddef>

namespace netc {

/// A part of a tensor in memory.
struct BoxView {
  std::byte* data = nullptr; ///< Null: there is none.
  Box box;                   ///< What of the tensor lies there.
  Layout layout = Layout::row_major;
};

/// A loop over the elements of a box in several views of one tensor, all of which hold the box.
/// Made once, walked often: walking allocates nothing.
class BoxLoop {
public:
  /// No more views and dimensions than these; more are an InternalError.
  static constexpr size_t most_views = 65;
  static constexpr size_t most_dims = 8;

  BoxLoop(const Box& box, const std::vector<BoxView>& views, int64_t element_bytes);

  int64_t element_bytes() const { return element_bytes_; }
  size_t views() const { return bases_.size(); }
  /// Elements between neighbours of a row, in each view.
  const std::vector<int64_t>& row_strides() const { return row_strides_; }
  /// Whether the elements of a row are neighbours in all views.
  bool contiguous() const { return contiguous_; }
  /// Whether all of the box is one such row.
  bool one_row() const { return contiguous_ && outer_.empty(); }
  /// Where the box begins in a view.
  std::byte* base(size_t view) const { return bases_[view]; }

  /// Calls row(pointers, count) for the thread's share of the rows: where the row's elements begin
  /// in each view, and how many there are. Which thread gets a row does not depend on timing.
  template <class Row> void walk(const Thread& thread, const Row& row) const {
    const int64_t begin = items_ * thread.index / thread.count,
                  end = items_ * (thread.index + 1) / thread.count;
    if (begin == end)
      return;
    std::array<int64_t, most_dims> index{};
    int64_t piece = start(begin, index);
    std::array<std::byte*, most_views> pointers;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = piece * piece_elements;
      point(index, first, pointers.data());
      row(pointers.data(), std::min(piece_elements, row_elements_ - first));
      if (++piece == pieces_) {
        piece = 0;
        advance(index);
      }
    }
  }

private:
  /// Long rows are cut, so that threads can share them.
  static constexpr int64_t piece_elements = 4096;

  struct Dim {
    int64_t extent;
    std::vector<int64_t> strides; ///< In elements, by view.
  };
  void merge(std::vector<Dim> dims);
  int64_t start(int64_t item, std::array<int64_t, most_dims>& index) const;
  void point(const std::array<int64_t, most_dims>& index, int64_t first,
             std::byte** pointers) const;
  void advance(std::array<int64_t, most_dims>& index) const;

  int64_t element_bytes_;
  std::vector<std::byte*> bases_; ///< Of the box's first element, by view.
  std::vector<Dim> outer_;        ///< Around the rows, slowest first.
  int64_t row_elements_ = 1;
  std::vector<int64_t> row_strides_;
  bool contiguous_ = true;
  int64_t pieces_ = 1; ///< Of a row.
  int64_t items_ = 0;  ///< Pieces of all rows.
};

/// Copies a box from one view to another.
class BoxCopy {
public:
  BoxCopy(const Box& box, const BoxView& to, const BoxView& from, int64_t element_bytes)
      : loop_(box, {to, from}, element_bytes) {}
  /// The thread's share.
  void run(const Thread& thread) const;

private:
  BoxLoop loop_;
};

/// Combines partial results element by element, as a binary tree over the sources in their order:
/// ((0 + 1) + (2 + 3)) + 4.
class BoxCombine {
public:
  /// InternalError for types that partial results do not have. `to` may be one of the sources.
  BoxCombine(const Box& box, const BoxView& to, const std::vector<BoxView>& sources, DType dtype,
             Combine combine);
  /// The thread's share.
  void run(const Thread& thread) const;

private:
  BoxLoop loop_;
  DType dtype_;
  Combine combine_;
};

} // namespace netc
