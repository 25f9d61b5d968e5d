// Shared by reading and writing safetensors: dtype names and header limits.
#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace moga::safetensors_format {

struct DtypeName {
  std::string_view name;
  c10::ScalarType dtype;
};
inline constexpr std::array<DtypeName, 17> kDtypes{{{"F64", c10::kDouble},
                                                    {"F32", c10::kFloat},
                                                    {"F16", c10::kHalf},
                                                    {"BF16", c10::kBFloat16},
                                                    {"F8_E4M3", c10::kFloat8_e4m3fn},
                                                    {"F8_E5M2", c10::kFloat8_e5m2},
                                                    {"I64", c10::kLong},
                                                    {"I32", c10::kInt},
                                                    {"I16", c10::kShort},
                                                    {"I8", c10::kChar},
                                                    {"U64", c10::kUInt64},
                                                    {"U32", c10::kUInt32},
                                                    {"U16", c10::kUInt16},
                                                    {"U8", c10::kByte},
                                                    {"BOOL", c10::kBool},
                                                    {"C64", c10::kComplexFloat},
                                                    {"F8_E8M0", c10::kFloat8_e8m0fnu}}};

inline constexpr uint64_t kLengthBytes = 8;                // the header's length, little-endian
inline constexpr uint64_t kMostHeaderBytes = 100'000'000;  // the limit of the format's own library
inline constexpr std::string_view kMetadataKey = "__metadata__";

}  // namespace moga::safetensors_format
