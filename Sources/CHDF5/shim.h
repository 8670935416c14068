#pragma once
#include <hdf5.h>

// HDF5's constants are macros that call H5open() or cast, which Swift does not import. Each getter keeps the name
// that HDF5 gives.
#define GAN_DIST_H5_GETTER(type, name, field) \
    __attribute__((swift_name("getter:" name "()"))) static inline type gan_dist_##field(void)

GAN_DIST_H5_GETTER(hid_t, "H5T_NATIVE_FLOAT", native_float) { return H5T_NATIVE_FLOAT; }
GAN_DIST_H5_GETTER(hid_t, "H5T_NATIVE_DOUBLE", native_double) { return H5T_NATIVE_DOUBLE; }
GAN_DIST_H5_GETTER(hid_t, "H5T_NATIVE_UINT8", native_uint8) { return H5T_NATIVE_UINT8; }
GAN_DIST_H5_GETTER(hid_t, "H5T_NATIVE_INT64", native_int64) { return H5T_NATIVE_INT64; }
GAN_DIST_H5_GETTER(hid_t, "H5T_NATIVE_UINT64", native_uint64) { return H5T_NATIVE_UINT64; }
GAN_DIST_H5_GETTER(hid_t, "H5T_STD_U64LE", u64le) { return H5T_STD_U64LE; }
GAN_DIST_H5_GETTER(hid_t, "H5T_IEEE_F32LE", f32le) { return H5T_IEEE_F32LE; }
GAN_DIST_H5_GETTER(hid_t, "H5T_IEEE_F64LE", f64le) { return H5T_IEEE_F64LE; }
GAN_DIST_H5_GETTER(hid_t, "H5T_STD_U8LE", u8le) { return H5T_STD_U8LE; }
GAN_DIST_H5_GETTER(hid_t, "H5T_STD_I64LE", i64le) { return H5T_STD_I64LE; }
GAN_DIST_H5_GETTER(hid_t, "H5T_C_S1", c_s1) { return H5T_C_S1; }
GAN_DIST_H5_GETTER(unsigned, "H5F_ACC_RDONLY", rdonly) { return H5F_ACC_RDONLY; }
GAN_DIST_H5_GETTER(unsigned, "H5F_ACC_RDWR", rdwr) { return H5F_ACC_RDWR; }
GAN_DIST_H5_GETTER(unsigned, "H5F_ACC_EXCL", excl) { return H5F_ACC_EXCL; }
GAN_DIST_H5_GETTER(hid_t, "H5P_FILE_ACCESS", file_access) { return H5P_FILE_ACCESS; }
GAN_DIST_H5_GETTER(hid_t, "H5P_FILE_CREATE", file_create) { return H5P_FILE_CREATE; }
GAN_DIST_H5_GETTER(hid_t, "H5P_DATASET_CREATE", dataset_create) { return H5P_DATASET_CREATE; }
GAN_DIST_H5_GETTER(hid_t, "H5P_DATASET_ACCESS", dataset_access) { return H5P_DATASET_ACCESS; }
GAN_DIST_H5_GETTER(hid_t, "H5P_GROUP_CREATE", group_create) { return H5P_GROUP_CREATE; }
GAN_DIST_H5_GETTER(size_t, "H5T_VARIABLE", variable) { return H5T_VARIABLE; }

// The type of a link, or a negative number: H5Lget_info and its struct are versioned macros from HDF5 1.12 on.
static inline int gan_dist_link_type(hid_t location, const char *name) {
    H5L_info_t info;
    return H5Lget_info(location, name, &info, H5P_DEFAULT) < 0 ? -1 : (int)info.type;
}
