#include "codegen/local_arrays.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

namespace {

constexpr int64_t alignment = 16;

int64_t aligned(int64_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

int64_t bytes_below(const std::vector<kernel::Stmt>& stmts) {
  int64_t bytes = 0;
  for (const kernel::Stmt& s : stmts)
    bytes += s->kind == kernel::StmtKind::alloc ? array_bytes(*s)
                                                : bytes_below(s->body) + bytes_below(s->orelse);
  return bytes;
}

} // namespace

int64_t array_bytes(const kernel::StmtNode& alloc) {
  return aligned(alloc.count * byte_size(alloc.type));
}

std::string LocalArrays::add(int64_t bytes) {
  const int64_t place = next_;
  next_ += aligned(bytes);
  if (!in_spread()) {
    most_ = std::max(most_, next_);
    return std::to_string(place);
  }
  NETC_CHECK(next_ <= begin_ + warp_bytes_, "an array of a spread loop was not counted");
  return warps_ == 1 ? std::to_string(place)
                     : fmt::format("{} + netc::warp() * {}", place, warp_bytes_);
}

void LocalArrays::enter_spread(const kernel::StmtNode& loop) {
  begin_ = next_;
  warp_bytes_ = bytes_below(loop.body);
  most_ = std::max(most_, begin_ + warp_bytes_ * warps_);
}

void LocalArrays::leave_spread() {
  next_ = begin_;
  warp_bytes_ = -1;
}

} // namespace netc
