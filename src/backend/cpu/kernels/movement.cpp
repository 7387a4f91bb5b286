// concat, upsample2x, embed, gather_row and branch_rows: rows are copied as bytes, for any type.
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/launch.h"

namespace tempera {
namespace {

int64_t row_bytes(const TensorDesc& d) {
  return d.shape[-1] * static_cast<int64_t>(size_of(d.dtype));
}

void copy_bytes(std::byte* to, const std::byte* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

Launch bind_concat(const Problem& problem, const Binding& at) {
  const int64_t rows = problem.output.shape.rows();
  const int64_t a_bytes = row_bytes(problem.inputs[0]), b_bytes = row_bytes(problem.inputs[1]);
  const std::byte *a = at.inputs[0], *b = at.inputs[1];
  std::byte* y = at.output;
  return [=](Queue&) {
    parallel_ranges(rows, grain_for(a_bytes + b_bytes), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        copy_bytes(y + r * (a_bytes + b_bytes), a + r * a_bytes, a_bytes);
        copy_bytes(y + r * (a_bytes + b_bytes) + a_bytes, b + r * b_bytes, b_bytes);
      }
    });
  };
}

// Every pixel is copied to two neighbours in two rows. The second row is copied from the first while that is in the
// cache. Odd targets do not have the last row or column.
Launch bind_upsample2x(const Problem& problem, const Binding& at) {
  const Shape &x = problem.inputs[0].shape, &out = problem.output.shape;
  const int64_t height = x[1], rows = x[0] * height, out_height = out[1];
  const int64_t pixel = row_bytes(problem.inputs[0]), in_bytes = x[2] * pixel, out_bytes = out[2] * pixel;
  const std::byte* in = at.inputs[0];
  std::byte* y = at.output;
  return [=](Queue&) {
    parallel_ranges(rows, grain_for(4 * in_bytes), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t out_row = 2 * (r % height);
        std::byte* first = y + (r / height * out_height + out_row) * out_bytes;
        for (int64_t i = 0; i < out_bytes; i += pixel)
          copy_bytes(first + i, in + r * in_bytes + i / pixel / 2 * pixel, pixel);
        if (out_row + 1 < out_height) copy_bytes(first + out_bytes, first, out_bytes);
      }
    });
  };
}

// An index outside the table would read other memory, so it is always clamped.
int64_t clamp_index(int32_t index, int64_t n) {
  return std::clamp<int64_t>(index, 0, n - 1);
}

// Extra rows follow those of the table.
Launch bind_embed(const Problem& problem, const Binding& at) {
  const bool has_extra = std::get<Embed>(problem.op).extra;
  const int64_t tokens = problem.inputs[0].shape.elements(), in_table = problem.inputs[1].shape[0];
  const int64_t rows = in_table + (has_extra ? problem.inputs[2].shape[0] : 0), bytes = row_bytes(problem.inputs[1]);
  const auto* ids = reinterpret_cast<const int32_t*>(at.inputs[0]);
  const std::byte *table = at.inputs[1], *extra = has_extra ? at.inputs[2] : nullptr;
  std::byte* y = at.output;
  return [=](Queue&) {
    for (int64_t i = 0; i < tokens; ++i) {
      const int64_t id = clamp_index(ids[i], rows);
      copy_bytes(y + i * bytes, id < in_table ? table + id * bytes : extra + (id - in_table) * bytes, bytes);
    }
  };
}

Launch bind_gather_row(const Problem& problem, const Binding& at) {
  const Shape& x = problem.inputs[0].shape;
  const int64_t batch = x[0], tokens = x[1], bytes = row_bytes(problem.inputs[0]);
  const std::byte* in = at.inputs[0];
  const auto* index = reinterpret_cast<const int32_t*>(at.inputs[1]);
  std::byte* y = at.output;
  return [=](Queue&) {
    for (int64_t n = 0; n < batch; ++n)
      copy_bytes(y + n * bytes, in + (n * tokens + clamp_index(index[n], tokens)) * bytes, bytes);
  };
}

// [the first `guided` rows..., all rows...]: two copies.
Launch bind_branch_rows(const Problem& problem, const Binding& at) {
  const TensorDesc& x = problem.inputs[0];
  const auto all = static_cast<int64_t>(x.bytes());
  const int64_t head = all / x.shape[0] * std::get<BranchRows>(problem.op).guided;
  const std::byte* in = at.inputs[0];
  std::byte* y = at.output;
  return [=](Queue&) {
    copy_bytes(y, in, head);
    copy_bytes(y + head, in, all);
  };
}

}  // namespace

void add_movement_kernels(std::vector<Kernel>& table) {
  const auto row = [&](std::string_view name, OpKind op, auto bind) {
    KernelInfo info = kernel_info(name, op);
    info.numerics = Numerics::bitwise;
    info.tolerance_f32 = 0;
    info.tolerance_half = 0;
    table.push_back({info, bind, {}});
  };
  row("concat/copy", OpKind::concat, bind_concat);
  row("upsample2x/copy", OpKind::upsample2x, bind_upsample2x);
  row("embed/copy", OpKind::embed, bind_embed);
  row("gather_row/copy", OpKind::gather_row, bind_gather_row);
  row("branch_rows/copy", OpKind::branch_rows, bind_branch_rows);
}

}  // namespace tempera
