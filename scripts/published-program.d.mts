export declare function publishAdsum(folder: string): string;
export declare function publish(from: string, to: string): string;
export declare function executableFor(uid: number, binary: string, folder: string): string;
